/**
 * /run/ksplice/boot.json: what became of the installed updates in this boot, for `view`, for monitors, and for the run that tries again those
 * that could not be applied early. Gone with the boot, as what it tells of is.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import * as v from 'valibot';
import { BOOT_LATER, BOOT_REPORT } from '../paths.ts';

const reportSchema = v.object({
  at: v.string(),
  /** Why none was applied: the kernel parameter, the crash guard; null if they were tried. */
  skipped: v.nullable(v.picklist(['noksplice', 'held_back'])),
  failed: v.array(
    v.object({ id: v.string(), code: v.string(), message: v.string(), hint: v.nullable(v.string()) }),
  ),
});

export type BootReport = Readonly<v.InferOutput<typeof reportSchema>>;
export type BootFailure = BootReport['failed'][number];

/** May come right by itself: a module that is loaded later, a thread in the way, what another one that waits is below. */
const PASSING: readonly string[] = [
  'target_not_loaded',
  'modules_not_built',
  'code_busy',
  'module_busy',
  'update_not_applied',
];

export function writeBootReport(report: BootReport): void {
  mkdirSync(path.dirname(BOOT_REPORT), { recursive: true, mode: 0o700 });
  writeFileSync(`${BOOT_REPORT}.new`, `${JSON.stringify(report, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${BOOT_REPORT}.new`, BOOT_REPORT);
  if (report.failed.some(({ code }) => PASSING.includes(code)))
    writeFileSync(BOOT_LATER, '', { mode: 0o600 });
  else rmSync(BOOT_LATER, { force: true });
}

/** Undefined if nothing was done in this boot, or it cannot be read. */
export function readBootReport(): BootReport | undefined {
  try {
    return v.parse(reportSchema, JSON.parse(readFileSync(BOOT_REPORT, 'utf8')));
  } catch {
    return undefined;
  }
}
