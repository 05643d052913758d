import { UsageError } from '../../src/diagnostics/error.ts';
import { numberFlag, readFlags } from '../command-line.ts';

export const USAGE = `usage: npm run torture -- [--seed N] [--minutes N] [--cycles N] [--cpus N] [--threads N | --no-load] [--debug-kernel]

Loads, applies, undoes and unloads an update of functions that everything calls, again and again, in a guest under load.

  --seed N         what is tried in which order; 1 unless told
  --cycles N       1000 unless told
  --minutes N      ends after that time, whatever was reached; 240 unless told
  --cpus N         of the guest; first 2 and then 1 unless told
  --threads N      sleeping threads; 10000 unless told, 200 on the debugging kernel
  --no-load        nothing else runs: what a cycle leaves is then seen to the kilobyte, and its time to the millisecond
  --debug-kernel   on the debugging kernel (npm run debug-kernel): failed allocations, then cycles, with less of a load
`;

export interface TortureOptions {
  readonly seed: number;
  readonly cycles: number;
  readonly minutes: number;
  /** One guest after the other. */
  readonly cpus: readonly number[];
  readonly threads: number;
  readonly load: boolean;
  readonly debugKernel: boolean;
}

/** Undefined if help is asked for. Throws UsageError. */
export function parseOptions(argv: readonly string[]): TortureOptions | undefined {
  const values = readFlags(argv, {
    seed: { type: 'string' },
    cycles: { type: 'string' },
    minutes: { type: 'string' },
    cpus: { type: 'string' },
    threads: { type: 'string' },
    'no-load': { type: 'boolean' },
    'debug-kernel': { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  });
  if (values.help === true) return undefined;
  const cpus = numberFlag('--cpus', values.cpus, 2, 8);
  const debugKernel = values['debug-kernel'] ?? false;
  const threads = numberFlag('--threads', values.threads, debugKernel ? 200 : 10_000);
  if (threads > 14_000) {
    throw new UsageError('usage', `--threads ${threads}: a guest has memory for 14000`);
  }
  const load = values['no-load'] !== true;
  if (!load && values.threads !== undefined) {
    throw new UsageError(
      'usage',
      '--threads and --no-load exclude each other: the threads are part of the load',
    );
  }
  return {
    seed: numberFlag('--seed', values.seed, 1),
    cycles: numberFlag('--cycles', values.cycles, 1000),
    minutes: numberFlag('--minutes', values.minutes, 240),
    cpus: values.cpus === undefined ? [2, 1] : [cpus],
    threads,
    load,
    debugKernel,
  };
}
