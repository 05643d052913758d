/**
 * The first stage: `ksplice create`, the very command, with the change of one file as its patch.
 *
 * Left behind: `fix.patch`; `create.log`, what it printed on standard error; `create.json`, its result or its error;
 * `update.ksplice`, which is read in full, as `apply` would: a file that its own reader refuses is no update.
 */
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { counted, formatSize } from '../../src/report/format.ts';
import { readUpdate } from '../../src/update/read-update.ts';
import { lastLine } from './cause-text.ts';
import { createCauses } from './create-causes.ts';
import { readErrorJson } from './error-json.ts';
import { runTool } from './run-tool.ts';
import { internalError, type Stage, type StageContext, type StageResult } from './stage.ts';
import { updateFile } from './update-of-member.ts';

export const createStage: Stage = {
  name: 'create',
  outcomes: [
    { name: 'made', title: 'updates made', goesOn: true, isBug: false, isNamed: false },
    { name: 'no_change', title: 'no object change', goesOn: false, isBug: false, isNamed: false },
    { name: 'refused', title: 'refused', goesOn: false, isBug: false, isNamed: false },
    { name: 'failed', title: 'failed', goesOn: false, isBug: false, isNamed: false },
    { name: 'internal_error', title: 'internal errors', goesOn: false, isBug: true, isNamed: true },
  ],
  run: async (context) => {
    const { directory, member, kernel } = context;
    await mkdir(directory, { recursive: true });
    const patch = path.join(directory, 'fix.patch');
    const update = updateFile(context);
    await writeFile(patch, member.patch.text);
    await rm(update, { force: true });
    const argv = [
      'create',
      '--json',
      '--jobs=1',
      `--kernel=${kernel.release}`,
      `--patch=${patch}`,
      '-o',
      update,
    ];
    const result = await runTool(context, 'create', argv);
    if (typeof result === 'string') return internalError(result);
    return result.exitCode === 0
      ? await made(context, update)
      : notMade(result.exitCode, result.stdout, result.stderr);
  },
};

async function made({ member }: StageContext, file: string): Promise<StageResult> {
  const bytes = await readFile(file);
  let update: ReturnType<typeof readUpdate>;
  try {
    update = readUpdate(bytes, file);
  } catch (error) {
    return internalError(
      `its update cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  const functions = update.units.flatMap((unit) => unit.functions);
  const needing = functions.filter(({ needsLivepatch }) => needsLivepatch !== null);
  const { size } = await stat(file);
  const notes = needing.length === 0 ? '' : `, ${needing.length} need livepatch`;
  return {
    outcome: 'made',
    causes: needing.length === 0 ? [] : ['needs livepatch for a function'],
    text: `${counted(functions.length, 'function')}${notes}, ${formatSize(size)}`,
    numbers: {
      functions: functions.length,
      newFunctions: update.units.flatMap((unit) => unit.newFunctions).length,
      needsLivepatch: needing.length,
      units: update.units.length,
      size,
      changedLines: member.patch.changedLines,
    },
  };
}

const byStatus: ReadonlyMap<number, string> = new Map([
  [2, 'refused'],
  [3, 'no_change'],
  [65, 'failed'],
  [69, 'failed'],
]);

/** Exported for its test. `stdout` holds the error, `stderr` what was printed until then. */
export function notMade(status: number, stdout: string, stderr: string): StageResult {
  const error = readErrorJson(stdout);
  const outcome = byStatus.get(status);
  if (error === undefined) {
    return internalError(`exit status ${status} without an error object: ${lastLine(stderr)}`);
  }
  if (outcome === undefined) {
    return internalError(error.message);
  }
  const causes = outcome === 'no_change' ? [] : createCauses(error);
  return { outcome, causes, text: shortened(error.message), numbers: {} };
}

/** A message that goes over lines begins with a heading; of a compiler's output the first error says most. */
function shortened(message: string): string {
  const [heading = '', ...rest] = message.split('\n').map((line) => line.trim());
  const telling = rest.find((line) => line.includes('error:')) ?? rest[0];
  return telling === undefined ? heading : `${heading} ${telling}`;
}
