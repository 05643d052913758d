/**
 * The stop of an update beside an empty stop_machine(), by number of functions and of threads; and what is done inside it, in
 * instructions of the guest.
 */
import { compileGuest } from '../test/support/vm/guest-program.ts';
import { Vm, type VmBackground, type VmOptions } from '../test/support/vm/vm.ts';
import type { CountedUpdate } from './counted-updates.ts';
import { leastSquares } from './least-squares.ts';
import { spreadOf } from './statistics.ts';

export const FUNCTIONS = [1, 10, 100, 1000] as const;
export const THREADS = [100, 1000, 10_000] as const;
const PAIRS = 51;
/** Under counting every run takes the same way; an interrupt may fall into one. */
const COUNTED_RUNS = 5;
const MEMORY_MB = 4096;
/** A thousand stacks, then one thread after the other, under emulation. */
const PATIENCE_MS = 1_800_000;

export interface StopBenchOptions {
  readonly image: string;
  readonly cacheDir: string;
  readonly bundle: string;
  readonly updates: readonly CountedUpdate[];
  readonly emptyStop: Uint8Array;
  readonly print: (line: string) => void;
}

/**
 * Toggles the stage; a line with the nanoseconds of an empty stop, of ours inside, of ours with the call; and the tasks that
 * were looked at inside, and those that had not run since the check before it.
 */
const PAIRS_SCRIPT = `s=/sys/kernel/ksplice/$1
i=0
while [ $i -lt $2 ]; do
  empty=$(cat /sys/kernel/debug/empty_stop)
  if [ $((i % 2)) = 0 ]; then echo reversed >$s/stage || exit 1; else echo applied >$s/stage || exit 1; fi
  echo $empty $(sed -n 's/^\\(call_ns\\|stopped_ns\\|tasks\\|prechecked\\) //p' $s/timing)
  i=$((i+1))
done`;

interface Pair {
  /** Nanoseconds. */
  readonly empty: number;
  readonly stopped: number;
  readonly call: number;
  /** Looked at inside the stop. */
  readonly tasks: number;
  /** Asked no more than whether they have run. */
  readonly prechecked: number;
}

export async function must(vm: Vm, command: string): Promise<string> {
  const { exitCode, stdout, stderr } = await vm.run(command, { timeoutMs: PATIENCE_MS });
  if (exitCode !== 0) throw new Error(`${command}: exit status ${exitCode}\n${stdout}${stderr}`);
  return stdout;
}

/** Order of the lines in the core's file `timing`: stopped_ns, call_ns, tasks, prechecked. */
async function pairs(vm: Vm, update: CountedUpdate, count: number): Promise<readonly Pair[]> {
  const nan = Number.NaN;
  await must(vm, `ksplice apply /root/${update.id}.ksplice`);
  const text = await must(vm, `sh /root/pairs.sh ${update.id} ${count}`);
  // An odd number of changes: the update is undone by now. An even one leaves it applied.
  if (count % 2 === 1) await must(vm, `echo applied >/sys/kernel/ksplice/${update.id}/stage`);
  await must(vm, `ksplice undo ${update.id}`);
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [empty = nan, stopped = nan, call = nan, tasks = nan, prechecked = nan] = line
        .split(' ')
        .map(Number);
      return { empty, stopped, call, tasks, prechecked };
    });
}

/** A guest with the updates, and what else the measures of stops need. */
export async function bootOptions(options: StopBenchOptions): Promise<VmOptions> {
  const { image, cacheDir, bundle, updates, emptyStop } = options;
  return {
    image,
    cacheDir,
    bundle,
    memoryMb: MEMORY_MB,
    bootTimeoutMs: PATIENCE_MS,
    files: [
      ...updates.map(({ id, file }) => ({ path: `/root/${id}.ksplice`, from: file })),
      { path: '/root/empty_stop.ko', contents: emptyStop },
      { path: '/root/pairs.sh', contents: PAIRS_SCRIPT },
      { path: '/bin/sleepers', from: await compileGuest('sleepers', cacheDir), mode: 0o755 },
    ],
  };
}

async function withSleepers<T>(vm: Vm, threads: number, body: () => Promise<T>): Promise<T> {
  const sleepers: VmBackground = await vm.start(`exec sleepers ${threads}`);
  await must(vm, `until grep -q 'ready ${threads}$' /run/vm/background-*.out; do usleep 100000; done`);
  try {
    return await body();
  } finally {
    sleepers.kill('SIGKILL');
    await sleepers.wait(PATIENCE_MS);
    await vm.run('rm -f /run/vm/background-*.out');
  }
}

function column(values: readonly number[], digits: number, width: number): string {
  const { min, median, max } = spreadOf(values);
  return `${median.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`.padStart(width);
}

/** One row for each number of threads and of functions: medians, spread, and their ratio pair by pair. */
export async function benchStopTable(options: StopBenchOptions): Promise<void> {
  const { updates, print } = options;
  await using vm = await Vm.boot(await bootOptions(options));
  await must(vm, 'insmod /root/empty_stop.ko');
  print(`stop of an update against an empty stop_machine(), ${PAIRS} pairs each, 2 CPUs`);
  print(
    'threads  tasks  functions    empty ms (median, min to max)     ours ms (median, min to max)   ratio (median, min to max)',
  );
  for (const threads of THREADS) {
    await withSleepers(vm, threads, async () => {
      for (const update of updates) {
        const measured = await pairs(vm, update, PAIRS);
        print(
          [
            String(threads).padStart(7),
            String((measured[0]?.tasks ?? 0) + (measured[0]?.prechecked ?? 0)).padStart(6),
            String(update.functions).padStart(10),
            column(
              measured.map(({ empty }) => empty / 1e6),
              2,
              28,
            ),
            column(
              measured.map(({ call }) => call / 1e6),
              2,
              28,
            ),
            column(
              measured.map(({ call, empty }) => call / empty),
              1,
              26,
            ),
          ].join(' '),
        );
      }
    });
  }
}

/** Limits of what one more function, byte and thread may cost inside the stop, in instructions. */
const LIMITS = { function: 300, byte: 1, thread: 60 } as const;

function limitText(value: number, limit: number): string {
  return `${value.toFixed(2)} (limit ${limit}: ${value <= limit ? 'kept' : 'NOT KEPT'})`;
}

/**
 * a + b per function + d per byte of old bodies + c per thread that has not run since the check before the stop + e per task
 * that is looked at inside: some are always, and each costs as much as some functions. Fitted to all combinations, in a
 * boot of its own.
 */
export async function benchStopWork(options: StopBenchOptions): Promise<void> {
  const { updates, print } = options;
  // On its one CPU the kernel would take lock prefixes out, and an update may not be put where one was.
  const oneCpu = { cpus: 1, append: 'noreplace-smp', countInstructions: true };
  await using vm = await Vm.boot({ ...(await bootOptions(options)), ...oneCpu });
  await must(vm, 'insmod /root/empty_stop.ko');
  const rows: number[][] = [];
  const values: number[] = [];
  print('work inside the stop, in instructions of the guest (one CPU, -icount shift=0)');
  for (const threads of THREADS) {
    await withSleepers(vm, threads, async () => {
      for (const update of updates) {
        const measured = await pairs(vm, update, 2 * COUNTED_RUNS);
        // Every second change is an apply; only that compares the old bodies.
        const applies = measured.filter((_, i) => i % 2 === 1);
        const [work, slept, seen] = [
          spreadOf(applies.map(({ stopped }) => stopped)).median,
          spreadOf(applies.map(({ prechecked }) => prechecked)).median,
          spreadOf(applies.map(({ tasks }) => tasks)).median,
        ];
        rows.push([1, update.functions, update.bytes, slept, seen]);
        values.push(work);
        print(
          `  ${slept} threads, ${seen} more looked at, ${update.functions} functions of ${update.bytes} bytes: ${work}`,
        );
      }
    });
  }
  const nan = Number.NaN;
  // If it were the same number in all of them, it could not be told from a.
  const isDecided = new Set(rows.map((row) => row[4])).size > 1;
  const fittedTo = isDecided ? rows : rows.map((row) => row.slice(0, 4));
  const [a = nan, b = nan, d = nan, c = nan, e = 0] = leastSquares(fittedTo, values);
  const furthest = Math.max(
    ...rows.map((row, i) => {
      const fitted = [a, b, d, c, e].reduce((sum, one, column) => sum + one * (row[column] ?? 0), 0);
      return Math.abs(fitted / (values[i] ?? Number.NaN) - 1);
    }),
  );
  print(`a ${a.toFixed(0)}`);
  print(`b per function ${limitText(b, LIMITS.function)}`);
  print(`d per byte ${limitText(d, LIMITS.byte)}`);
  print(`c per thread ${limitText(c, LIMITS.thread)}`);
  print(`e per task looked at inside ${e.toFixed(0)}`);
  print(`the furthest measure is ${(100 * furthest).toFixed(1)} % off`);
}
