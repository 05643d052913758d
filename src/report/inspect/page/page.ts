import type { Inspection } from '../inspection.ts';
export function inspectionPage(inspection: Inspection): string {
  return inspection.id;
}
