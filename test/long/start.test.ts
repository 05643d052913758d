/**
 * The start of the program, beside Node's own. `npm run bench -- start` measures it; here the limit is generous, since this machine does other
 * things meanwhile: what is caught is a start that reads or compiles what it does not need.
 */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { measureStarts, type StartCommand, startCommands } from '../../bench/start.ts';
import { run } from '../../src/process/run.ts';

const RUNS = 9;
const GENEROUS = 2;
const MAX_BYTES = 110_000_000;

describe('the program', () => {
  let folder: string;
  let commands: readonly StartCommand[];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ksplice-start-'));
    commands = await startCommands(folder);
  });
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it('starts in less than twice the time of Node itself, as a file and as an executable', async () => {
    for (const { name, ratio } of await measureStarts(commands, folder, RUNS)) {
      expect(ratio, name).toBeLessThan(GENEROUS);
    }
  });

  it('is an executable that decodes, under 110 MB, and does not need Node', async () => {
    const executable = join(folder, 'ksplice');
    expect((await stat(executable)).size).toBeLessThan(MAX_BYTES);
    const { stdout } = await run([executable, '--version'], { env: { PATH: '/nonexistent' } });
    expect(stdout).toMatch(/^ksplice \d/);
  });
});
