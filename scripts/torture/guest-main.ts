/**
 * The program that does the cycles in the guest: `node torture.cjs ORDER RESULT`, both files of JSON.
 *
 * One process does them all, with the library that `ksplice` is made of. A cycle is: entry made, module loaded, applied,
 * undone, unloaded, entry forgotten. The module was linked once and is kept, since a start of Node and a match for each
 * cycle would be most of the time; one cycle in a hundred is the whole of apply and undo, the core's own coming and going included.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import * as v from 'valibot';
import { KspliceError } from '../../src/diagnostics/error.ts';
import { linkMatched } from '../../src/link/link-matched.ts';
import { applyUpdates } from '../../src/live/apply.ts';
import type { LiveContext } from '../../src/live/context.ts';
import { ensureCore, releaseCore } from '../../src/live/core-module.ts';
import {
  abortCauseOf,
  changeStage,
  conflictsOf,
  control,
  setDebug,
  timingOf,
} from '../../src/live/core-sysfs.ts';
import { loadModule, unloadModule } from '../../src/live/kernel-module.ts';
import { matchUpdate } from '../../src/live/match-update.ts';
import { type PreparedUpdate, PreparedUpdates } from '../../src/live/prepare-updates.ts';
import { undoUpdates } from '../../src/live/undo.ts';
import { readUpdateFile } from '../../src/update/read-update.ts';
import { type TortureOrder, type TortureRun, tortureOrderSchema } from './cycle-outcome.ts';
import { type MemoryUse, moduleAreas, parseMeminfo } from './memory-use.ts';
import { Random } from './random.ts';

const WHOLE_ONE_IN = 100;
/** A thread may be in the way for long; an update that cannot be undone at all is a failure. */
const UNDO_TRIES = 20;
/** hot.patch: getpriority() of this process, which does not exist, answers only in the new code. */
const PROBED_PID = 2_000_000_000;

const context: LiveContext = {
  signal: new AbortController().signal,
  debug: false,
  onDebug: () => undefined,
  partial: false,
  engine: 'jump',
  waitMs: 0,
  onStep: () => undefined,
};

/** What must not happen. Ends the run. */
class Failure extends Error {}

function isNewCode(): boolean {
  try {
    getPriority(PROBED_PID);
    return true;
  } catch {
    return false;
  }
}

function countAreas(): number {
  return moduleAreas(readFileSync('/proc/vmallocinfo', 'latin1')).length;
}

function must(what: string, errno: string | undefined): void {
  if (errno !== undefined) throw new Failure(`${what}: ${errno}`);
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

class Torture {
  readonly #order: TortureOrder;
  readonly #random: Random;
  readonly #update: PreparedUpdate;
  readonly #updates: PreparedUpdates;
  readonly #run: Mutable<TortureRun>;
  #linked: { readonly name: string; readonly bytes: Uint8Array } | undefined;

  constructor(order: TortureOrder, updates: PreparedUpdates) {
    const [update] = updates.list;
    if (update === undefined) throw new Error('no update');
    this.#order = order;
    this.#random = new Random(order.seed);
    this.#update = update;
    this.#updates = updates;
    this.#run = {
      cycles: 0,
      completed: 0,
      whole: 0,
      refused: {},
      attempts: {},
      stoppedMs: [],
      cycleMs: [],
      tasks: 0,
      busyIn: {},
      before: [],
      after: [],
      areasBefore: 0,
      areasApplied: 0,
      areasAfter: 0,
      seconds: 0,
    };
  }

  get #id(): string {
    return this.#update.update.id;
  }

  #note(): void {
    const { attempts, stoppedNs, tasks } = timingOf(this.#id);
    this.#run.attempts[attempts] = (this.#run.attempts[attempts] ?? 0) + 1;
    this.#run.stoppedMs.push(stoppedNs / 1e6);
    this.#run.tasks = Math.max(this.#run.tasks, tasks);
  }

  #noteRefusal(cause: string, functions: readonly string[]): void {
    this.#run.refused[cause] = (this.#run.refused[cause] ?? 0) + 1;
    for (const name of functions) this.#run.busyIn[name] = (this.#run.busyIn[name] ?? 0) + 1;
  }

  /** Somewhere in the next milliseconds. */
  async #wait(limitMs: number): Promise<void> {
    await delay(this.#random.below(limitMs + 1));
  }

  /** Binds the core and the update anew, as apply does, and keeps what it would load. */
  async #link(): Promise<{ readonly name: string; readonly bytes: Uint8Array }> {
    const { update, objects } = this.#update;
    const { kernel } = this.#updates;
    const core = await ensureCore(update, kernel);
    const matches = await matchUpdate(objects, kernel, context);
    return linkMatched(update, objects, matches, kernel, (name) => core.get(name));
  }

  #expectCode(expected: 'new' | 'old', when: string): void {
    const found = isNewCode() ? 'new' : 'old';
    if (found !== expected) throw new Failure(`${when}: ${found} code runs, expected ${expected}`);
  }

  /** Applies; false if somebody was in the way in all attempts. */
  #apply(): boolean {
    const errno = changeStage(this.#id, 'applied');
    if (errno !== undefined) {
      this.#noteRefusal(
        abortCauseOf(this.#id),
        conflictsOf(this.#id).flatMap(({ functions }) => functions),
      );
      this.#expectCode('old', 'after a refused apply');
      return false;
    }
    this.#note();
    this.#expectCode('new', 'after apply');
    return true;
  }

  async #undo(): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      const errno = changeStage(this.#id, 'reversed');
      if (errno === undefined) break;
      this.#noteRefusal(`undo: ${abortCauseOf(this.#id)}`, []);
      this.#expectCode('new', 'after a refused undo');
      if (tries === UNDO_TRIES) throw new Failure(`undo: ${errno}, ${abortCauseOf(this.#id)}`);
      await this.#wait(1000);
    }
    this.#note();
    this.#expectCode('old', 'after undo');
  }

  /** What nobody should do to an applied update, and what has to be refused each time. */
  async #disturb(module: string): Promise<void> {
    const tried = [
      ['applied again', changeStage(this.#id, 'applied'), 'EINVAL'],
      ['created again', control(`create ${this.#id}`), 'EEXIST'],
      ['forgotten', control(`forget ${this.#id}`), 'EBUSY'],
    ] as const;
    for (const [what, found, expected] of tried) {
      if (found !== expected) throw new Failure(`${what} while applied: ${found}, expected ${expected}`);
    }
    if ((await unloadModule(module)) === undefined) throw new Failure('unloaded while applied');
  }

  /** Load, apply, undo, unload. */
  async #shortCycle(): Promise<boolean> {
    const linked = (this.#linked ??= await this.#link());
    must('create', control(`create ${this.#id}`));
    await loadModule(linked.name, linked.bytes);
    if (this.#random.oneIn(4)) must('debug', setDebug(this.#id));
    await this.#wait(20);
    // One load in five is used twice: an update that was undone may be applied again.
    const times = this.#random.oneIn(5) ? 2 : 1;
    let done = true;
    for (let time = 0; time < times && done; time += 1) {
      done = this.#apply();
      if (!done) continue;
      if (this.#random.oneIn(10)) await this.#disturb(linked.name);
      await this.#wait(100);
      await this.#undo();
    }
    const stuck = await unloadModule(linked.name);
    if (stuck !== undefined) throw new Failure(`rmmod: ${stuck}`);
    must('forget', control(`forget ${this.#id}`));
    return done;
  }

  /** All of apply and undo, with a core of its own. */
  async #wholeCycle(): Promise<boolean> {
    this.#linked = undefined;
    await releaseCore();
    // Since the core went, symbols of modules are others.
    this.#updates.kernel.refresh();
    try {
      await applyUpdates([this.#update], this.#updates.kernel, () => context);
    } catch (error) {
      if (!(error instanceof KspliceError) || error.code !== 'code_busy') throw error;
      this.#noteRefusal(error.code, []);
      this.#expectCode('old', 'after a refused apply');
      return false;
    }
    this.#note();
    this.#run.areasApplied = countAreas();
    this.#expectCode('new', 'after apply');
    await this.#wait(200);
    for (let tries = 1; ; tries += 1) {
      try {
        await undoUpdates([this.#id], () => context);
        break;
      } catch (error) {
        if (!(error instanceof KspliceError) || error.code !== 'code_busy' || tries === UNDO_TRIES)
          throw error;
        this.#noteRefusal('undo: code_busy', []);
      }
    }
    this.#expectCode('old', 'after undo');
    this.#run.whole += 1;
    return true;
  }

  async #sample(into: MemoryUse[]): Promise<number> {
    for (let i = 0; i < this.#order.samples; i += 1) {
      into.push(parseMeminfo(readFileSync('/proc/meminfo', 'latin1')));
      await delay(1000);
    }
    return countAreas();
  }

  async #cycles(): Promise<void> {
    const { cycles, minutes } = this.#order;
    const end = Date.now() + minutes * 60_000;
    while (this.#run.cycles < cycles && Date.now() < end) {
      const began = performance.now();
      const isWhole = this.#run.cycles === 0 || this.#random.oneIn(WHOLE_ONE_IN);
      this.#run.cycles += 1;
      if (await (isWhole ? this.#wholeCycle() : this.#shortCycle())) this.#run.completed += 1;
      this.#run.cycleMs.push(performance.now() - began);
      if (this.#run.cycles % 10 === 0) {
        process.stdout.write(`${this.#run.cycles} cycles, ${this.#run.completed} applied and undone\n`);
      }
    }
    await releaseCore();
  }

  async run(): Promise<TortureRun> {
    const began = performance.now();
    this.#run.areasBefore = await this.#sample(this.#run.before);
    try {
      await this.#cycles();
    } catch (error) {
      this.#run.failure = `cycle ${this.#run.cycles}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
    }
    this.#run.areasAfter = await this.#sample(this.#run.after);
    this.#run.seconds = (performance.now() - began) / 1000;
    return this.#run;
  }
}

async function main([orderFile = '', resultFile = '']: readonly string[]): Promise<void> {
  const order = v.parse(tortureOrderSchema, JSON.parse(readFileSync(orderFile, 'utf8')));
  // The load would leave us one turn in thirty.
  setPriority(-15);
  using updates = new PreparedUpdates([readUpdateFile(order.update)]);
  const run = await new Torture(order, updates).run();
  writeFileSync(resultFile, JSON.stringify(run));
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 70;
});
