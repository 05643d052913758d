import { describe, expect, it } from 'vitest';
import { runPipeline } from './run-pipeline.ts';

describe('runPipeline', () => {
  it('connects commands and returns what the last one printed', async () => {
    const { stdout } = await runPipeline(
      [
        ['seq', '200000'],
        ['sort', '-rn'],
        ['head', '-n', '1'],
      ].map(command),
    );
    expect(stdout).toBe('200000\n');
  });

  it('carries bytes unchanged', async () => {
    const { stdout } = await runPipeline(
      [['head', '-c', '3000000', '/dev/zero'], ['gzip'], ['gzip', '-dc'], ['wc', '-c']].map(command),
    );
    expect(stdout.trim()).toBe('3000000');
  });

  it('fails when a command in front fails although the last one succeeds', async () => {
    await expect(runPipeline([command(['sh', '-c', 'echo a; exit 7']), ['cat']])).rejects.toThrow(
      'exit status 7',
    );
  });

  it('blames the reader that failed, not the writer that it left behind', async () => {
    await expect(runPipeline([['yes'], command(['sh', '-c', 'exit 4'])])).rejects.toThrow('exit status 4');
  });

  it('ends the writer when the reader cannot be started', async () => {
    await expect(runPipeline([['yes'], ['no-such-tool-anywhere']])).rejects.toThrow('no such program');
  });
});

function command(words: readonly string[]): readonly [string, ...string[]] {
  const [program = 'false', ...rest] = words;
  return [program, ...rest];
}
