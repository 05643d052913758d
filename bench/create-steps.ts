/**
 * Where the time of a create goes: by step, from what it prints on the way and when its processes end; and by program.
 */
import type { MeasuredRun, ProcessTime } from './process-times.ts';

/** In seconds. */
export interface Step {
  readonly name: string;
  readonly wall: number;
  /** Of create's own process. */
  readonly ownCpu: number;
  /** Of all that it started. */
  readonly childCpu: number;
}

/** Processor time in seconds. */
export interface Shares {
  readonly total: number;
  /** create's own process. */
  readonly own: number;
  /** cc1 and as of our own compilations. */
  readonly compiler: number;
  readonly objtool: number;
  /** make and all below it, without the two in the line after. */
  readonly kbuild: number;
  /** cc1, as and objtool below make: a unit is compiled once by kbuild when it is asked about it. */
  readonly kbuildCompiler: number;
  /** What else was started: gcc's driver, objcopy, find, patch, tar. */
  readonly other: number;
}

/** What a line on standard error begins; the first that fits. */
const BEGINNINGS: readonly (readonly [RegExp, string])[] = [
  [/\] downloading /, 'download'],
  [/\] unpacking the source/, 'unpack the source'],
  [/\] unpacking /, 'unpack image and headers'],
  [/\] configuring/, 'configure'],
  [/\] preparing /, 'prepare'],
  [/\] reading the source tree/, 'scan for included sources'],
  [/\] asking kbuild/, 'ask kbuild'],
  [/\] comparing/, 'compare'],
  [/\] compiling the core/, 'core'],
];

interface Mark {
  readonly at: number;
  readonly name: string;
}

/** The last end, between two times, of a process that is named so. */
function lastEnd(
  processes: readonly ProcessTime[],
  name: string,
  from: number,
  to: number,
): number | undefined {
  return processes.findLast((one) => one.name === name && one.end >= from && one.end <= to)?.end;
}

export function stepsOf({ lines, processes, wall }: MeasuredRun): readonly Step[] {
  const marks: Mark[] = [{ at: 0, name: 'start, look at kernel and tree, patch' }];
  for (const { at, text } of lines) {
    const name = BEGINNINGS.find(([pattern]) => pattern.test(text))?.[1];
    if (name !== undefined && name !== marks.at(-1)?.name) marks.push({ at, name });
  }
  // What begins without a line: compiling when kbuild has answered, or the patch is applied; writing after the core.
  const compiled = lines.find(({ text }) => / compiled \S+ \(pre-plain\)/.test(text))?.at ?? wall;
  const asked = marks.find(({ name }) => name === 'ask kbuild');
  const compiling =
    asked === undefined
      ? lastEnd(processes, 'patch', 0, compiled)
      : lastEnd(processes, 'make', asked.at, compiled);
  if (compiling !== undefined) marks.push({ at: compiling, name: 'compile' });
  const core = marks.find(({ name }) => name === 'core');
  const linked = core === undefined ? undefined : lastEnd(processes, 'ld', core.at, wall);
  if (linked !== undefined) marks.push({ at: linked, name: 'extract, write' });
  const sorted = marks.toSorted((a, b) => a.at - b.at);
  return sorted.map(({ at, name }, index): Step => {
    const end = sorted[index + 1]?.at ?? wall;
    const children = processes.slice(0, -1).filter((one) => one.end > at && one.end <= end);
    return {
      name,
      wall: end - at,
      ownCpu: commandCpuAt(processes, end) - commandCpuAt(processes, at),
      childCpu: children.reduce((sum, one) => sum + one.cpu, 0),
    };
  });
}

/** Processor time of the command at a time, between two ends of processes in proportion. */
function commandCpuAt(processes: readonly ProcessTime[], at: number): number {
  const after = processes.findIndex((one) => one.end >= at);
  const next = processes[after];
  if (next === undefined) return processes.at(-1)?.cpu ?? 0;
  const { end: from, commandCpu: low } = processes[after - 1] ?? { end: 0, commandCpu: 0 };
  const part = next.end > from ? Math.max(0, at - from) / (next.end - from) : 1;
  return low + part * (next.commandCpu - low);
}

export function sharesOf({ processes }: MeasuredRun): Shares {
  const parents = new Map(processes.map(({ pid, parent }) => [pid, parent]));
  const names = new Map(processes.map(({ pid, name }) => [pid, name]));
  const isBelowMake = (pid: number): boolean => {
    for (let at: number | undefined = pid; at !== undefined; at = parents.get(at)) {
      if (names.get(at) === 'make') return true;
    }
    return false;
  };
  const sums = { own: 0, compiler: 0, objtool: 0, kbuild: 0, kbuildCompiler: 0, other: 0 };
  for (const [index, { pid, name, cpu }] of processes.entries()) {
    const kind = name === 'cc1' || name === 'as' ? 'compiler' : name === 'objtool' ? 'objtool' : undefined;
    if (index === processes.length - 1) sums.own += cpu;
    else if (isBelowMake(pid)) sums[kind === undefined ? 'kbuild' : 'kbuildCompiler'] += cpu;
    else sums[kind ?? 'other'] += cpu;
  }
  return { ...sums, total: Object.values(sums).reduce((sum, one) => sum + one, 0) };
}

/** Total to what cc1, as and objtool take, wherever they ran; and to that in our own compilations only. */
export function ratiosOf({ total, compiler, objtool, kbuildCompiler }: Shares): {
  readonly all: number;
  readonly own: number;
} {
  return { all: total / (compiler + objtool + kbuildCompiler), own: total / (compiler + objtool) };
}
