/**
 * How long the program takes to start, as a ratio to Node with nothing to do: `node -e 0`.
 *
 * Processor time, since wall time is that of everything that runs on the machine; each command is run in turn with Node, so that what changes
 * meanwhile changes both.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildBundle } from '../scripts/bundle.ts';
import { buildExecutable } from '../scripts/package/executable.ts';
import { buildProcessTimes, measure } from './process-times.ts';
import { spreadOf, spreadText } from './statistics.ts';

const RUNS = 41;

export interface StartCommand {
  readonly name: string;
  readonly argv: readonly string[];
  /** What is claimed: at most so many times the start of Node. */
  readonly limit: number;
}

export interface StartTimes extends StartCommand {
  /** Seconds of processor time. */
  readonly cpu: readonly number[];
  /** Of `node -e 0`, run in turn with it. */
  readonly node: readonly number[];
  /** Median by median. */
  readonly ratio: number;
}

/** The program started by Node, and the single-file executable, which is built into `folder`. */
export async function startCommands(folder: string): Promise<readonly StartCommand[]> {
  const bundle = await buildBundle(join(folder, 'ksplice.cjs'));
  const executable = join(folder, 'ksplice');
  await buildExecutable(executable);
  return [
    { name: 'ksplice --help', argv: [process.execPath, bundle, '--help'], limit: 1.3 },
    { name: 'ksplice view', argv: [process.execPath, bundle, 'view'], limit: 1.3 },
    { name: 'executable --help', argv: [executable, '--help'], limit: 1.5 },
    { name: 'executable view', argv: [executable, 'view'], limit: 1.5 },
  ];
}

/** Throws an Error if a command fails. */
export async function measureStarts(
  commands: readonly StartCommand[],
  folder: string,
  runs: number,
): Promise<readonly StartTimes[]> {
  const tracer = await buildProcessTimes(folder);
  const once = async (argv: readonly string[]): Promise<number> => {
    const { exitCode, processes, lines } = await measure(tracer, argv, {});
    if (exitCode !== 0) {
      throw new Error(
        `${argv.join(' ')}: exit status ${exitCode}: ${lines.map(({ text }) => text).join('\n')}`,
      );
    }
    return processes.reduce((sum, { cpu }) => sum + cpu, 0);
  };
  const results: StartTimes[] = [];
  for (const command of commands) {
    const cpu: number[] = [];
    const node: number[] = [];
    for (let index = 0; index < runs; index += 1) {
      node.push(await once([process.execPath, '-e', '0']));
      cpu.push(await once(command.argv));
    }
    results.push({ ...command, cpu, node, ratio: spreadOf(cpu).median / spreadOf(node).median });
  }
  return results;
}

/** Prints a line for each. */
export async function benchStart(print: (text: string) => void): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'ksplice-start-'));
  try {
    const times = await measureStarts(await startCommands(folder), folder, RUNS);
    for (const { name, cpu, node, ratio, limit } of times) {
      const milliseconds = cpu.map((seconds) => seconds * 1000);
      const bare = spreadOf(node).median * 1000;
      print(
        `${name.padEnd(18)} ${spreadText(milliseconds, 'ms')}; ${ratio.toFixed(2)} times node -e 0 (${bare.toFixed(2)} ms); limit ${limit}: ${ratio <= limit ? 'kept' : 'NOT KEPT'}`,
      );
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
