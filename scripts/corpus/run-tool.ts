import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { CommandError } from '../../src/process/command-error.ts';
import { type RunResult, run } from '../../src/process/run.ts';
import type { StageContext } from './stage.ts';

const TIMEOUT_MS = 900_000;
const ANY_STATUS = Array.from({ length: 256 }, (_, status) => status);

/**
 * Runs the program to its end, whatever its exit status, and leaves what it printed in the file's directory:
 * `NAME.json` and `NAME.log`. Returns why if it did not come to an end of its own: no time left, a signal. Throws when
 * the corpus is interrupted.
 */
export async function runTool(
  { tool, directory, signal }: Pick<StageContext, 'tool' | 'directory' | 'signal'>,
  name: string,
  argv: readonly string[],
): Promise<RunResult | string> {
  try {
    await mkdir(directory, { recursive: true });
    const result = await run([...tool.argv, ...argv], {
      okExitCodes: ANY_STATUS,
      timeoutMs: TIMEOUT_MS,
      signal,
    });
    await writeFile(path.join(directory, `${name}.json`), result.stdout);
    await writeFile(path.join(directory, `${name}.log`), result.stderr);
    signal.throwIfAborted();
    return result;
  } catch (error) {
    if (!(error instanceof CommandError) || error.code === 'interrupted') throw error;
    return error.message;
  }
}
