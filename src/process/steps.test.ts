import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { isStepComplete, runStep } from './steps.ts';

async function write(file: string, text: string): Promise<void> {
  writeFileSync(file, text);
  await Promise.resolve();
}

function fresh(): string {
  return mkdtempSync(path.join(tmpdir(), 'steps-'));
}

describe('runStep', () => {
  it('runs a step once', async () => {
    const dir = path.join(fresh(), 'new');
    const runs: string[] = [];
    const step = async (output: string): Promise<void> => {
      runs.push(output);
      await write(output, 'result');
    };
    expect(await runStep(dir, 'config', step)).toBe('ran');
    expect(await runStep(dir, 'config', step)).toBe('skipped');
    expect(runs).toEqual([path.join(dir, 'config')]);
    expect(readFileSync(path.join(dir, 'config'), 'utf8')).toBe('result');
  });

  it('runs a failed step again, without the output that the failure left', async () => {
    const dir = fresh();
    const failing = runStep(dir, 'tree', async (output) => {
      mkdirSync(output);
      await write(path.join(output, 'half'), '');
      throw new RangeError('killed');
    });
    await expect(failing).rejects.toThrow(RangeError);
    expect(await isStepComplete(dir, 'tree')).toBe(false);
    await runStep(dir, 'tree', async (output) => {
      expect(existsSync(output)).toBe(false);
      mkdirSync(output);
      await write(path.join(output, 'whole'), '');
    });
    expect(existsSync(path.join(dir, 'tree', 'half'))).toBe(false);
    expect(await isStepComplete(dir, 'tree')).toBe(true);
  });

  it('makes an output again that was removed by hand', async () => {
    const dir = fresh();
    await runStep(dir, 'a', async (output) => await write(output, '1'));
    rmSync(path.join(dir, 'a'));
    expect(await runStep(dir, 'a', async (output) => await write(output, '2'))).toBe('ran');
    expect(readFileSync(path.join(dir, 'a'), 'utf8')).toBe('2');
  });

  it('accepts a step that makes no file', async () => {
    const dir = fresh();
    expect(await runStep(dir, 'check', async () => await Promise.resolve())).toBe('ran');
    expect(await runStep(dir, 'check', async () => await Promise.resolve())).toBe('skipped');
  });

  it('does not take a half-written stamp for a whole one', async () => {
    const dir = fresh();
    await runStep(dir, 'a', async (output) => await write(output, '1'));
    rmSync(path.join(dir, 'a.complete'));
    writeFileSync(path.join(dir, 'a.complete.partial'), 'comp');
    expect(await isStepComplete(dir, 'a')).toBe(false);
    expect(await runStep(dir, 'a', async (output) => await write(output, '2'))).toBe('ran');
  });
});
