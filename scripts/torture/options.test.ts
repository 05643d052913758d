import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/diagnostics/error.ts';
import { parseOptions } from './options.ts';

describe('options of a torture run', () => {
  it('are a thousand cycles on two CPUs and on one, unless told', () => {
    expect(parseOptions([])).toMatchObject({ seed: 1, cycles: 1000, cpus: [2, 1], threads: 10_000 });
    expect(parseOptions(['--cpus', '1', '--seed', '5', '--minutes', '3'])).toMatchObject({
      seed: 5,
      minutes: 3,
      cpus: [1],
    });
  });

  it('may leave out the load', () => {
    expect(parseOptions([])).toMatchObject({ load: true });
    expect(parseOptions(['--no-load'])).toMatchObject({ load: false });
  });

  it('have fewer threads on the debugging kernel', () => {
    expect(parseOptions(['--debug-kernel'])).toMatchObject({ debugKernel: true, threads: 200 });
    expect(parseOptions(['--debug-kernel', '--threads', '9'])).toMatchObject({ threads: 9 });
  });

  it('are refused where they make no sense', () => {
    expect(() => parseOptions(['--cpus', '0'])).toThrow(UsageError);
    expect(() => parseOptions(['--threads', '50000'])).toThrow(/14000/);
    expect(() => parseOptions(['--threads', '5', '--no-load'])).toThrow(/exclude/);
    expect(() => parseOptions(['--fast'])).toThrow(UsageError);
  });
});
