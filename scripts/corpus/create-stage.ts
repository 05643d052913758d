/**
 * The first stage: `ksplice create`, the very command, with the change of one file as its patch.
 *
 * Left behind: `fix.patch`; `create.log`, what it printed on standard error; `create.json`, its result or its error;
 * `update.ksplice`, which is read in full, as `apply` would: a file that its own reader refuses is no update.
 */
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { CommandError } from '../../src/process/command-error.ts';
import { run } from '../../src/process/run.ts';
import { counted, formatSize } from '../../src/report/format.ts';
import { readUpdate } from '../../src/update/read-update.ts';
import { createCauses, readCreateError } from './create-causes.ts';
import type { Stage, StageContext, StageResult } from './stage.ts';

/** Name of the update in a file's directory. */
export const UPDATE_FILE = 'update.ksplice';

const TIMEOUT_MS = 900_000;
const ANY_STATUS = Array.from({ length: 256 }, (_, status) => status);

export const createStage: Stage = {
  name: 'create',
  outcomes: [
    { name: 'made', title: 'updates made', goesOn: true, isBug: false },
    { name: 'no_change', title: 'no object change', goesOn: false, isBug: false },
    { name: 'refused', title: 'refused', goesOn: false, isBug: false },
    { name: 'failed', title: 'failed', goesOn: false, isBug: false },
    { name: 'internal_error', title: 'internal errors', goesOn: false, isBug: true },
  ],
  run: async (context) => {
    const { directory, member, release, tool, signal } = context;
    await mkdir(directory, { recursive: true });
    const patch = path.join(directory, 'fix.patch');
    const update = path.join(directory, UPDATE_FILE);
    await writeFile(patch, member.patch.text);
    await rm(update, { force: true });
    try {
      const result = await run(
        [
          ...tool.argv,
          'create',
          '--json',
          '--jobs=1',
          `--kernel=${release}`,
          `--patch=${patch}`,
          '-o',
          update,
        ],
        { okExitCodes: ANY_STATUS, timeoutMs: TIMEOUT_MS, signal },
      );
      await writeFile(path.join(directory, 'create.json'), result.stdout);
      await writeFile(path.join(directory, 'create.log'), result.stderr);
      signal.throwIfAborted();
      return result.exitCode === 0
        ? await made(context, update)
        : notMade(result.exitCode, result.stdout, result.stderr);
    } catch (error) {
      if (!(error instanceof CommandError) || error.code === 'interrupted') throw error;
      return bug(error.message);
    }
  },
};

async function made({ member }: StageContext, file: string): Promise<StageResult> {
  const bytes = await readFile(file);
  let update: ReturnType<typeof readUpdate>;
  try {
    update = readUpdate(bytes, file);
  } catch (error) {
    return bug(`its update cannot be read: ${error instanceof Error ? error.message : String(error)}`);
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
  const error = readCreateError(stdout);
  const outcome = byStatus.get(status);
  if (error === undefined) {
    return bug(`exit status ${status} without an error object: ${lastLine(stderr)}`);
  }
  if (outcome === undefined) {
    return bug(error.message);
  }
  const causes = outcome === 'no_change' ? [] : createCauses(error);
  return { outcome, causes, text: shortened(error.message), numbers: {} };
}

function bug(message: string): StageResult {
  return { outcome: 'internal_error', causes: [message], text: message, numbers: {} };
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? '';
}

/** A message that goes over lines begins with a heading; of a compiler's output the first error says most. */
function shortened(message: string): string {
  const [heading = '', ...rest] = message.split('\n').map((line) => line.trim());
  const telling = rest.find((line) => line.includes('error:')) ?? rest[0];
  return telling === undefined ? heading : `${heading} ${telling}`;
}
