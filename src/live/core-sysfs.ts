/**
 * Speaks to the core through /sys/kernel/ksplice (core/control.c). No address passes here.
 */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { InternalError } from '../diagnostics/error.ts';
import { CORE_MODULE } from '../link/core-module-name.ts';
import { SYSFS_ROOT } from './paths.ts';

const stages = ['preparing', 'applied', 'reversed'] as const;
export type Stage = (typeof stages)[number];

/** Figures of the last change of stage. */
export interface SwitchTiming {
  readonly attempts: number;
  /** From the first CPU inside the stop to the last byte written. */
  readonly stoppedNs: number;
  /** Around the whole stop. */
  readonly callNs: number;
  /** Tasks looked at inside the stop. */
  readonly tasks: number;
  /** Of these, tasks whose unwind was not reliable: every word of the stack was looked at. */
  readonly scanned: number;
  /** Tasks that had been looked at before the stop, and had not run since. */
  readonly prechecked: number;
  /** Which switch it was, counted since the core was loaded. Updates that were switched in one stop have the same. */
  readonly switchNumber: number;
}

/** A task that was in the way. */
export interface Conflict {
  readonly task: string;
  readonly pid: number;
  readonly functions: readonly string[];
}

/** Outcome of a write: undefined, or the error's name (`EBUSY`). */
export type Errno = string | undefined;

function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
}

function write(file: string, text: string): Errno {
  try {
    writeFileSync(file, text);
    return undefined;
  } catch (error) {
    return errnoOf(error);
  }
}

function read(id: string, file: string): string {
  return readFileSync(path.join(SYSFS_ROOT, id, file), 'latin1').trimEnd();
}

export function isCoreLoaded(): boolean {
  return existsSync(SYSFS_ROOT);
}

/** How Ksplice works here: with a core of the kernel's own, or with one that an update brought. */
export type Operation = 'integrated' | 'standalone';

/** Of the core that is there: one that was built as a module from the kernel's tree is no foreign code to the kernel. */
export function operation(): Operation {
  const module = path.join('/sys/module', CORE_MODULE);
  // A built-in one may have a directory there, but it was never loaded.
  if (!existsSync(path.join(module, 'initstate'))) return 'integrated';
  return readFileSync(path.join(module, 'taint'), 'latin1').includes('O') ? 'standalone' : 'integrated';
}

export function coreInterface(): number {
  return Number(readFileSync(path.join(SYSFS_ROOT, 'interface'), 'latin1'));
}

/** IDs of all entries, sorted. */
export function listEntries(): readonly string[] {
  if (!isCoreLoaded()) return [];
  return readdirSync(SYSFS_ROOT)
    .filter((name) => statSync(path.join(SYSFS_ROOT, name)).isDirectory())
    .sort();
}

export function hasEntry(id: string): boolean {
  return existsSync(path.join(SYSFS_ROOT, id));
}

/** `create ID`, `pin ID MODULE`, `skip ID MODULE SRCVERSION`, `forget ID`, `apply ID...` or `reverse ID...`. */
export function control(command: string): Errno {
  return write(path.join(SYSFS_ROOT, 'control'), command);
}

export function stageOf(id: string): Stage {
  const found = read(id, 'stage');
  const stage = stages.find((each) => each === found);
  if (stage === undefined) {
    throw new InternalError(
      'unexpected',
      `${SYSFS_ROOT}/${id}/stage: '${found}', expected ${stages.join(', ')}`,
    );
  }
  return stage;
}

export function changeStage(id: string, stage: 'applied' | 'reversed'): Errno {
  return write(path.join(SYSFS_ROOT, id, 'stage'), stage);
}

/**
 * All of them in one stop, or none: the lower one of two that are on top of one another comes first at apply, the upper one
 * at undo. Afterwards each has the same account of what came of it.
 */
export function changeStages(ids: readonly string[], stage: 'applied' | 'reversed'): Errno {
  const [first] = ids;
  if (first !== undefined && ids.length === 1) return changeStage(first, stage);
  return control(`${stage === 'applied' ? 'apply' : 'reverse'} ${ids.join(' ')}`);
}

export function setDebug(id: string): Errno {
  return write(path.join(SYSFS_ROOT, id, 'debug'), '1');
}

export function setPartial(id: string): Errno {
  return write(path.join(SYSFS_ROOT, id, 'partial'), '1');
}

export function abortCauseOf(id: string): string {
  return read(id, 'abort_cause');
}

/**
 * Lines of `NAME PID FUNCTION...`. The name of a task may hold spaces and numbers, that of a function
 * neither: so the pid is the last field that is a number.
 */
export function parseConflicts(text: string): readonly Conflict[] {
  return text
    .split('\n')
    .map((line) => /^(.*) (\d+) (.*)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, task = '', pid = '0', functions = '']) => ({
      task,
      pid: Number(pid),
      functions: functions.split(' '),
    }));
}

export function conflictsOf(id: string): readonly Conflict[] {
  return parseConflicts(read(id, 'conflicts'));
}

/** The hook that refused the last change of stage, and what it returned; undefined if none did. */
export function failedHookOf(id: string): { readonly name: string; readonly result: number } | undefined {
  const [, name, result] = /^(\S+) (-?\d+)$/.exec(read(id, 'failed_hook')) ?? [];
  return name === undefined ? undefined : { name, result: Number(result) };
}

/** Lines of `NAME VALUE`. */
export function parseTiming(text: string): SwitchTiming {
  const lines = text.split('\n');
  const number = (name: string): number => {
    const line = lines.find((each) => each.startsWith(`${name} `));
    return line === undefined ? 0 : Number(line.slice(name.length + 1));
  };
  return {
    attempts: number('attempts'),
    stoppedNs: number('stopped_ns'),
    callNs: number('call_ns'),
    tasks: number('tasks'),
    scanned: number('scanned'),
    prechecked: number('prechecked'),
    switchNumber: number('switch'),
  };
}

export function timingOf(id: string): SwitchTiming {
  return parseTiming(read(id, 'timing'));
}
