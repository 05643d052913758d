/**
 * Gives readers of files damaged input.
 *
 * Each input is a sound one, mutated. A reader may accept it, or throw one of the program's errors that say what is
 * wrong with a file; anything else (another error, our own InternalError, a read that takes a second of processor time) is a
 * finding, printed with the seed and the number that make it again. The same seed gives the same inputs.
 */
import { parseArgs } from 'node:util';
import { FormatError, InternalError, KspliceError } from '../../src/diagnostics/error.ts';
import { mutate, numbersFrom } from './random.ts';

export interface Target {
  readonly name: string;
  /** Sound inputs, which the reader accepts. */
  readonly seeds: readonly Uint8Array[];
  readonly read: (bytes: Uint8Array) => unknown;
  /** Makes a damaged input of a sound one, where other damage than to any byte is wanted. */
  readonly damage?: (
    bytes: Uint8Array,
    random: (limit: number) => number,
  ) => Uint8Array | Promise<Uint8Array>;
}

export interface FuzzOptions {
  /** The inputs are the same for the same seed. */
  readonly seed: number;
  /** Names of the readers; all of them unless told. */
  readonly targets?: readonly string[];
  readonly onProgress?: (done: number) => void;
}

export interface FuzzResult {
  readonly inputs: number;
  /** By target. */
  readonly accepted: Readonly<Record<string, number>>;
  readonly refused: Readonly<Record<string, number>>;
  readonly findings: readonly string[];
  /** The longest that one input took, in ms of processor time: the machine may be busy. */
  readonly slowest: number;
}

const TOO_SLOW_MS = 1000;
const MOST_FINDINGS = 20;

/** Whether the error says what is wrong with what was read. */
function isRefusal(error: unknown): boolean {
  return error instanceof FormatError || (error instanceof KspliceError && !(error instanceof InternalError));
}

/** Reads `inputs` damaged files, in turn of each target. */
export async function fuzz(
  targets: readonly Target[],
  inputs: number,
  options: FuzzOptions,
): Promise<FuzzResult> {
  const { seed } = options;
  const accepted = Object.fromEntries(targets.map(({ name }) => [name, 0]));
  const refused = Object.fromEntries(targets.map(({ name }) => [name, 0]));
  const findings: string[] = [];
  let slowest = 0;
  // A reader that refuses everything would pass: what is not damaged must be read.
  for (const { seeds, read } of targets) for (const bytes of seeds) await read(bytes);

  let done = 0;
  for (; done < inputs && findings.length < MOST_FINDINGS; done++) {
    const target = targets[done % targets.length];
    if (target === undefined) break;
    const random = numbersFrom(seed + done);
    const sound = target.seeds[random(target.seeds.length)] ?? new Uint8Array(0);
    const bytes = await (target.damage ?? mutate)(sound, random);
    const start = process.cpuUsage();
    try {
      await target.read(bytes);
      accepted[target.name] = (accepted[target.name] ?? 0) + 1;
    } catch (error) {
      refused[target.name] = (refused[target.name] ?? 0) + 1;
      if (!isRefusal(error)) {
        const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
        findings.push(
          `${target.name}, seed ${seed}, input ${done}: ${stack.split('\n').slice(0, 4).join(' ')}`,
        );
      }
    }
    const { user, system } = process.cpuUsage(start);
    const took = (user + system) / 1000;
    slowest = Math.max(slowest, took);
    if (took > TOO_SLOW_MS)
      findings.push(`${target.name}, seed ${seed}, input ${done}: took ${took.toFixed(0)} ms`);
    if (done % 50_000 === 49_999) options.onProgress?.(done + 1);
  }
  return { inputs: done, accepted, refused, findings, slowest };
}

/** Runs a fuzzer as its command line says, prints what came of it, and sets the exit status. */
export async function runFuzzer(
  run: (inputs: number, options: FuzzOptions) => Promise<FuzzResult>,
): Promise<void> {
  const { values } = parseArgs({
    options: {
      inputs: { type: 'string', default: '10000' },
      seed: { type: 'string', default: '1' },
      target: { type: 'string', multiple: true },
    },
  });
  const start = performance.now();
  const result = await run(Number(values.inputs), {
    seed: Number(values.seed),
    ...(values.target === undefined ? {} : { targets: values.target }),
    onProgress: (done) => {
      process.stderr.write(`${done} inputs, ${((performance.now() - start) / 1000).toFixed(0)} s\n`);
    },
  });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  process.stdout.write(`${JSON.stringify({ ...result, seconds }, undefined, 2)}\n`);
  process.exitCode = result.findings.length > 0 ? 1 : 0;
}
