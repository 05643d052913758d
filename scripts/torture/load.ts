/**
 * What goes on in a guest while it is tortured, and whether anything of it was lost: a TCP connection that knows every byte,
 * stress-ng that checks its own results, a compiler whose output must be the same each time, threads that sleep.
 */
import type { Vm, VmBackground } from '../../test/support/vm/vm.ts';
import { startWitness, stopWitness } from '../demo/witness.ts';

export interface LoadOptions {
  /** Sleeping threads. */
  readonly threads: number;
  /** Processes of stress-ng of each kind, in order of interest; fewer for a short run. */
  readonly stressors: readonly string[];
}

/**
 * Forks and vforks in storms; threads; wake-ups by pipe, futex, eventfd and signal; the page cache by files and mappings.
 * They check what they read back (--verify), and end without complaint when they are told to.
 */
export const STRESSORS = [
  'fork',
  'vfork',
  'pipe',
  'hdd',
  'pthread',
  'futex',
  'eventfd',
  'sigq',
  'dup',
  'mmap',
] as const;

/** With all of them a cycle takes minutes on the debugging kernel. */
export const FEW_STRESSORS = ['fork', 'pipe', 'hdd', 'futex'] as const;

/** A file for each, so that the disk, which is memory, is not filled. */
const STRESS_SIZES = '--hdd-bytes 4m --mmap-bytes 8m --temp-path /home/user';

const COMPILE = `cd /home/user
tcc -c compiled.c -o first.o || exit 1
while [ ! -e /tmp/stop-compiling ]; do
  tcc -c compiled.c -o again.o || { echo failed; exit 1; }
  cmp first.o again.o || exit 1
  echo compiled
done`;

const STOP_MS = 300_000;
/** Ten thousand threads are made, on the debugging kernel too. */
const START_MS = 1_800_000;

export interface LoadReport {
  /** What was lost, in words; nothing if all went well. */
  readonly lost: readonly string[];
  /** Lines about what was done. */
  readonly done: readonly string[];
}

/** Where there was no load to lose anything. */
export const NO_LOAD: LoadReport = { lost: [], done: ['without a load'] };

/**
 * What stress-ng has to say against the kernel, of all its lines. Its pipes are told to end by a signal, and one that comes
 * while the writer says so to the reader interrupts it (EINTR): no answer of the kernel is wrong.
 */
export function complaintsOf(said: readonly string[]): readonly string[] {
  return said.filter(
    (line) =>
      !/ (?:info|warn): /.test(line) && !/ fail: .* pipe: termination write failed, errno=4 /.test(line),
  );
}

export class Load {
  readonly #vm: Vm;
  readonly #threads: number;
  readonly #sleepers: VmBackground;
  readonly #witness: VmBackground;
  readonly #stress: VmBackground;
  readonly #compiler: VmBackground;

  private constructor(
    vm: Vm,
    threads: number,
    all: readonly [VmBackground, VmBackground, VmBackground, VmBackground],
  ) {
    this.#vm = vm;
    this.#threads = threads;
    [this.#sleepers, this.#witness, this.#stress, this.#compiler] = all;
  }

  /** Resolves when everything runs. */
  static async start(vm: Vm, options: LoadOptions): Promise<Load> {
    const { threads, stressors } = options;
    const sleepers = await vm.start(`exec sleepers ${threads}`);
    const ready = 'until grep -q ready /run/vm/background-*.out; do usleep 200000; done';
    const { exitCode, stderr } = await vm.run(ready, { timeoutMs: START_MS });
    if (exitCode !== 0) throw new Error(`guest: ${threads} threads: exit status ${exitCode}: ${stderr}`);
    const witness = await startWitness(vm);
    const kinds = stressors.map((name) => `--${name} 1`).join(' ');
    const stress = await vm.start(`exec stress-ng ${kinds} ${STRESS_SIZES} --verify --timeout 0`, {
      uid: 1000,
    });
    const compiler = await vm.start(COMPILE, { uid: 1000 });
    return new Load(vm, threads, [sleepers, witness, stress, compiler]);
  }

  /** Ends it, and says what became of it. */
  async stop(): Promise<LoadReport> {
    const lost: string[] = [];
    const { stdout } = await this.#vm.run(`ls /proc/${this.#sleepers.pid}/task | wc -l`);
    const left = Number(stdout.trim()) - 1;
    if (left !== this.#threads) lost.push(`${this.#threads} threads slept, ${left} are left`);
    await this.#vm.run('touch /tmp/stop-compiling');
    // The parent alone: it tells its children, and those that a signal ends themselves leave no result.
    await this.#vm.run(`kill -INT ${this.#stress.pid}`);

    const stress = await this.#stress.wait(STOP_MS);
    const said = `${stress.stderr}${stress.stdout}`.trim().split('\n');
    const complaints = complaintsOf(said);
    if (stress.exitCode !== 0 || complaints.length > 0) {
      lost.push(`stress-ng: exit status ${stress.exitCode}: ${complaints.join('; ')}`);
    }
    const compiler = await this.#compiler.wait(STOP_MS);
    if (compiler.exitCode !== 0) {
      lost.push(`tcc: exit status ${compiler.exitCode}: ${compiler.stderr}`);
    }
    const witness = await stopWitness(this.#witness);
    if (!witness.agreed || witness.resets > 0 || witness.errors > 0 || witness.exitCode !== 0) {
      lost.push(`the TCP connection: ${JSON.stringify(witness)}`);
    }
    this.#sleepers.kill('SIGKILL');
    await this.#sleepers.wait(STOP_MS);
    const compiled = compiler.stdout.split('\n').filter((line) => line === 'compiled').length;
    return {
      lost,
      done: [
        `${this.#threads} threads slept`,
        `TCP: ${witness.bytes} bytes in ${(witness.durationMs / 1000).toFixed(0)} s, longest gap ${witness.longestGapMs} ms`,
        `tcc: ${compiled} files compiled, all the same`,
        `stress-ng: ${said.at(-1)?.replace(/^.*\] /, '') ?? ''}`,
      ],
    };
  }
}
