/**
 * Runs a command and tells what each of its processes used: process_times/process_times.c says how. Processor time is
 * sound on a machine that is busy otherwise, too; wall time is not, so the load goes with it.
 */
import { mkdir, readFile, rename } from 'node:fs/promises';
import { loadavg } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { LineSplitter } from '../src/process/line-splitter.ts';
import { run } from '../src/process/run.ts';

const SOURCE = fileURLToPath(new URL('./process_times/process_times.c', import.meta.url));
const ANY_STATUS = Array.from({ length: 256 }, (_, status) => status);
/** What is measured may differ by so much from what wait4(2) says of the whole. */
const TOLERANCE = 0.01;

/** Times in seconds; `start` and `end` since the command was started. */
export interface ProcessTime {
  readonly pid: number;
  readonly parent: number;
  readonly start: number;
  readonly end: number;
  /** Of all its threads and none of its children. */
  readonly cpu: number;
  /** Processor time of the command itself when this process ended. */
  readonly commandCpu: number;
  readonly peakKb: number;
  /** The most that the command itself had until this process ended. */
  readonly commandPeakKb: number;
  /** As in /proc/PID/comm. */
  readonly name: string;
}

export interface MeasuredLine {
  readonly at: number;
  readonly text: string;
}

export interface MeasuredRun {
  readonly exitCode: number;
  readonly stdout: string;
  /** Lines of standard error. */
  readonly lines: readonly MeasuredLine[];
  readonly wall: number;
  /** In the order of their ends; the last is the command itself. */
  readonly processes: readonly ProcessTime[];
  /** Load average of the last minute, when it ended. */
  readonly load: number;
}

/** Compiles the program that traces, into `directory`, and returns its path. */
export async function buildProcessTimes(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true });
  const program = path.join(directory, 'process_times');
  await run(['gcc', '-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-o', `${program}.new`, SOURCE]);
  await rename(`${program}.new`, program);
  return program;
}

/** Throws an Error if the processes do not add up to what the kernel says of the whole. */
export async function measure(
  program: string,
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<MeasuredRun> {
  const list = `${program}.${process.pid}.list`;
  const lines: MeasuredLine[] = [];
  const start = performance.now();
  const clock = Number(process.hrtime.bigint());
  const { exitCode, stdout } = await run([program, list, ...argv], {
    env,
    okExitCodes: ANY_STATUS,
    onLine: (text, stream) => {
      if (stream === 'stderr') lines.push({ at: (performance.now() - start) / 1000, text });
    },
  });
  const wall = (performance.now() - start) / 1000;
  const { processes, sum } = parseList(await readFile(list, 'utf8'), clock);
  const counted = processes.reduce((total, one) => total + one.cpu, 0);
  if (Math.abs(counted - sum) > TOLERANCE * sum) {
    throw new Error(`processes used ${counted.toFixed(2)} s, and wait4() says ${sum.toFixed(2)} s`);
  }
  return { exitCode, stdout, lines, wall, processes, load: loadavg()[0] ?? Number.NaN };
}

function parseList(
  text: string,
  clock: number,
): { readonly processes: readonly ProcessTime[]; readonly sum: number } {
  const processes: ProcessTime[] = [];
  let sum = Number.NaN;
  const lines = new LineSplitter((line) => {
    if (line.startsWith('sum ')) sum = Number(line.slice('sum '.length)) / 1e9;
    const found = /^(\d+) (\d+) (\d+) (\d+) (\d+) (\d+) (\d+) (\d+) (.*)$/.exec(line);
    if (found === null) return;
    const numbers = found.slice(1, 9).map(Number);
    const [pid = 0, parent = 0, begin = 0, end = 0, cpu = 0, commandCpu = 0, peakKb = 0, commandPeakKb = 0] =
      numbers;
    processes.push({
      pid,
      parent,
      start: (begin - clock) / 1e9,
      end: (end - clock) / 1e9,
      cpu: cpu / 1e9,
      commandCpu: commandCpu / 1e9,
      peakKb,
      commandPeakKb,
      name: found[9] ?? '',
    });
  });
  lines.push(text);
  lines.end();
  if (Number.isNaN(sum)) throw new Error('the list of processes has no end: was the command killed?');
  return { processes, sum };
}

/**
 * The most memory that could have been in use at a time, in KB: of each process its own most, summed over those that
 * lived at once, and of the command, which grows, its most until the next process ended. Pages that several share count
 * several times. `processes` in the order of their ends, the command last.
 */
export function peakOfAll(processes: readonly ProcessTime[]): number {
  const changes = processes.slice(0, -1).flatMap(({ start, end, peakKb, commandPeakKb }) => [
    { at: start, kb: peakKb, command: 0 },
    { at: end, kb: -peakKb, command: commandPeakKb },
  ]);
  let now = 0;
  let since = 0;
  let peak = processes.at(-1)?.peakKb ?? 0;
  for (const { kb, command } of changes.toSorted((a, b) => a.at - b.at || a.kb - b.kb)) {
    if (command > 0) {
      peak = Math.max(peak, since + command);
      since = now + kb;
    }
    now += kb;
    since = Math.max(since, now);
  }
  return peak;
}
