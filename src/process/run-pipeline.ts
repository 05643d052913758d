import { PassThrough } from 'node:stream';
import { type RunOptions, type RunResult, run } from './run.ts';

/**
 * Runs commands with the standard output of each as the standard input of the next, and returns the result
 * of the last. Every one of them must succeed, where a shell looks at the last only. But a command whose reader
 * ended early (`head`, or one that failed) cannot be blamed for that: the error is that of the first command
 * that failed with its output read to the end. `okExitCodes` is for the last command.
 */
export async function runPipeline(
  commands: readonly (readonly [string, ...string[]])[],
  options: Omit<RunOptions, 'input' | 'stdoutTo'> = {},
): Promise<RunResult> {
  const { okExitCodes, ...common } = options;
  const pipes = commands.slice(1).map(() => new PassThrough());
  const outcomes = await Promise.allSettled(
    commands.map(async (argv, index) => {
      const input = pipes[index - 1];
      const output = pipes[index];
      try {
        return await run(argv, {
          ...common,
          ...(okExitCodes !== undefined && output === undefined ? { okExitCodes } : {}),
          ...(input === undefined ? {} : { input }),
          ...(output === undefined ? {} : { stdoutTo: output }),
        });
      } catch (error) {
        // Whatever ended it, its neighbours must not wait for data: end of input after it, no reader before it.
        input?.destroy();
        output?.end();
        throw error;
      }
    }),
  );
  for (const [index, outcome] of outcomes.entries()) {
    const output = pipes[index];
    if (outcome.status === 'rejected' && (output === undefined || output.readableEnded)) {
      throw outcome.reason;
    }
  }
  const last = outcomes.at(-1);
  return last?.status === 'fulfilled' ? last.value : { exitCode: 0, stdout: '', stderr: '' };
}
