import { statSync } from 'node:fs';
import { UsageError } from '../diagnostics/error.ts';
import { signatureLook } from '../live/trust/look.ts';
import { counted, formatSize } from '../report/format.ts';
import { type CheckedKernel, inspectUpdate } from '../report/inspect/inspect-update.ts';
import type { Inspection } from '../report/inspect/inspection.ts';
import { inspectionJson } from '../report/inspect/inspection-json.ts';
import { inspectionText } from '../report/inspect/inspection-text.ts';
import { inspectionPage } from '../report/inspect/page/page.ts';
import { readUpdateFile } from '../update/read-update.ts';
import {
  type CheckedUpdate,
  checkAgainstKernel,
  checkKernelFlags,
  refuseMismatches,
} from './check-kernel.ts';
import type { InspectFlags } from './inspect-command.ts';
import type { Session } from './session.ts';
import { signatureText } from './signature-text.ts';
import { writeOutput } from './write-output.ts';

/** `ksplice inspect FILE` */
export async function inspect(session: Session, flags: InspectFlags, file: string): Promise<void> {
  checkKernelFlags(flags);
  if (flags.running === true && flags.image !== undefined) {
    throw new UsageError('usage', '--running and --image: only one of them', { hint: 'leave one out' });
  }
  session.progress.step(`reading ${file}`);
  const update = readUpdateFile(file);
  const isChecked = flags.running === true || flags.image !== undefined;
  const checked = isChecked ? await checkAgainstKernel(session, flags, update) : undefined;
  const kernel = checked === undefined ? undefined : describeKernel(checked, flags);
  const signedBy = signatureText(signatureLook()(update));
  session.progress.step('disassembling');
  const inspection = await inspectUpdate(update, { file, size: statSync(file).size, signedBy }, kernel);

  const { html } = flags;
  const page = html === undefined ? '' : inspectionPage(inspection);
  if (html !== undefined) await writeOutput(html, page);
  const text = html === undefined ? inspectionText(inspection) : writtenText(html, page, inspection);
  if (checked !== undefined && !checked.fits) {
    // What is in the update may be looked at although it does not fit; the command fails all the same.
    if (!session.json) (html === undefined ? session.result : session.done)({}, text);
    refuseMismatches(checked.units);
    if (checked.difference !== undefined) throw checked.difference;
  }
  const tell = html === undefined ? session.result : session.done;
  tell(session.json ? inspectionJson(inspection) : {}, text);
}

function describeKernel(checked: CheckedUpdate, { image }: InspectFlags): CheckedKernel {
  const { identity, isRunning, fits, difference } = checked;
  const { release, banner } = identity;
  const problem = difference === undefined ? null : difference.message;
  return { release, banner, kernel: image ?? 'running', fits, problem, isRunning, check: checked };
}

function writtenText(file: string, page: string, { units }: Inspection): string {
  const functions = units.flatMap((unit) => unit.functions).length;
  const size = formatSize(Buffer.byteLength(page));
  return `wrote ${file}: ${counted(functions, 'function')} in ${counted(units.length, 'unit')}, ${size}\n`;
}
