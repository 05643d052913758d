/**
 * apply: the passes, in the order that docs/safety.md proves.
 *
 * Each pass is announced in the journal before it begins. A run can be killed at any of them: the kernel
 * is then updated or not, never between, because only the core switches, and it does so in one stop. The
 * next run finds what is left (`recover`) and either says that the update is applied or starts again.
 */
import { MatchError, RefusedError } from '../diagnostics/error.ts';
import type { RunningKernel } from '../kernel/running-kernel.ts';
import { linkMatched } from '../link/link-matched.ts';
import type { MatchedUnit } from '../link/matched-unit.ts';
import type { UpdateObjects } from '../link/update-objects.ts';
import type { MatchMode } from '../match/match-unit.ts';
import { identityDifference } from '../update/kernel-identity.ts';
import type { Update } from '../update/update.ts';
import { updateModule } from '../update/update-id.ts';
import { abortError } from './abort-cause.ts';
import { changeStageLogged } from './change-stage.ts';
import type { LiveContext } from './context.ts';
import { ensureCore, releaseCore } from './core-module.ts';
import { control, hasEntry, type SwitchTiming, stageOf, timingOf } from './core-sysfs.ts';
import { throwIfInterrupted } from './interrupted.ts';
import { note, readRecord, removeRecord, writeRecord } from './journal.ts';
import {
  checkModulesAllowed,
  isModuleLoaded,
  loadModule,
  removeLinkedModules,
  unloadModule,
} from './kernel-module.ts';
import { refuseLivepatched } from './livepatch-owner.ts';
import { matchUpdate } from './match-update.ts';
import { pinOwners, pinTargets } from './pin-owners.ts';
import type { PreparedUpdate } from './prepare-updates.ts';
import { runningIdentity } from './running-identity.ts';
import { requireBelow } from './updates-below.ts';

/** The passes by name, in order: the list of docs/safety.md. */
export const applyPasses = [
  'recover',
  'core',
  'create',
  'match',
  'link',
  'pin',
  'load',
  'switch',
  'done',
] as const;

export interface ApplyResult {
  readonly id: string;
  readonly description: string;
  /** The kernel had this update already; nothing was done. */
  readonly alreadyApplied: boolean;
  /** A run before this one had been interrupted, and left it like this. */
  readonly recovered: 'nothing' | 'leftovers' | 'applied';
  readonly functions: readonly string[];
  /** How its units were matched. */
  readonly mode: MatchMode;
  readonly timing: SwitchTiming;
  /** Bytes of text compared, and what rewritten places held. */
  readonly compared: number;
  readonly explained: Readonly<Record<string, number>>;
}

function functionNames(update: Update): readonly string[] {
  return update.units.flatMap((unit) => unit.functions.map((each) => each.preName));
}

/** One update's way through the passes, with what each of them made. */
class Application {
  readonly #update: Update;
  readonly #context: LiveContext;
  readonly #objects: UpdateObjects;
  readonly #kernel: RunningKernel;

  constructor({ update, objects }: PreparedUpdate, kernel: RunningKernel, context: LiveContext) {
    this.#update = update;
    this.#objects = objects;
    this.#context = context;
    this.#kernel = kernel;
  }

  get #id(): string {
    return this.#update.id;
  }

  #pass(name: (typeof applyPasses)[number]): void {
    throwIfInterrupted(this.#context.signal);
    note(this.#id, name);
    this.#context.onStep(name);
  }

  /**
   * What an earlier run left: an applied update is done; a resident one only has to be switched on;
   * everything else is taken away, and we start afresh.
   */
  async #recover(): Promise<'nothing' | 'leftovers' | 'applied' | 'resident'> {
    const id = this.#id;
    removeLinkedModules();
    if (!hasEntry(id)) return 'nothing';
    const record = readRecord(id);
    const stage = stageOf(id);
    if (stage !== 'preparing' && record !== undefined && record.digest !== this.#update.digest) {
      throw new RefusedError('id_taken', `${id}: another update with this ID is ${stage}`, {
        hint: `undo it first (ksplice undo ${id}), or give this one another ID (ksplice create --id)`,
      });
    }
    if (stage === 'applied') return 'applied';
    if (stage === 'reversed' && isModuleLoaded(updateModule(id))) return 'resident';
    await removeUpdate(id);
    return 'leftovers';
  }

  /** The kernel is not the one that the core and the stub were compiled for: find out what differs. */
  async #refuseOtherKernel(difference: string): Promise<never> {
    await matchUpdate(this.#objects, this.#kernel, this.#context);
    throw new MatchError('no_match', `${this.#id}: ${difference}; its code matches, but not its core`, {
      hint: 'create the update again for the kernel that is running',
    });
  }

  #switchOn(): void {
    const errno = changeStageLogged(this.#id, 'applied', this.#context);
    if (errno !== undefined) throw abortError(this.#id, 'apply', errno);
  }

  #result(recovered: ApplyResult['recovered'], matched: readonly MatchedUnit[]): ApplyResult {
    const matches = matched.flatMap(({ match, below }) => [match, ...below.values()]);
    const explained: Record<string, number> = {};
    for (const match of matches) {
      for (const [what, count] of match.explained) explained[what] = (explained[what] ?? 0) + count;
    }
    return {
      id: this.#id,
      description: this.#update.description,
      alreadyApplied: recovered === 'applied',
      recovered,
      functions: functionNames(this.#update),
      mode: this.#update.matching,
      timing: timingOf(this.#id),
      compared: matches.reduce((sum, match) => sum + match.compared, 0),
      explained,
    };
  }

  async run(): Promise<ApplyResult> {
    // Kept before anything is touched: whoever finds an entry in the core must know what it is.
    const found = await this.#recover();
    if (found === 'applied') return this.#result('applied', []);
    requireBelow(this.#update);
    if (found === 'resident') {
      this.#pass('switch');
      this.#switchOn();
      note(this.#id, 'done');
      return this.#result('nothing', []);
    }
    writeRecord(this.#update);
    this.#pass('recover');
    try {
      const matches = await this.#fromCoreToSwitch();
      note(this.#id, 'done');
      return this.#result(found, matches);
    } catch (error) {
      await removeUpdate(this.#id);
      throw error;
    }
  }

  async #fromCoreToSwitch(): Promise<readonly MatchedUnit[]> {
    const difference = identityDifference(this.#update.kernel, runningIdentity(), 'is running');
    if (difference !== undefined) await this.#refuseOtherKernel(difference);
    refuseLivepatched(this.#update);

    // The core first: it is what keeps modules from going away under the match.
    this.#pass('core');
    const core = await ensureCore(this.#update, this.#kernel);
    this.#pass('create');
    const errno = control(`create ${this.#id}`);
    if (errno !== undefined) throw abortError(this.#id, 'apply', errno);
    // Modules that are to be updated, those of updates below among them: from here on they stay, so what matching finds stays true.
    pinTargets(this.#id, this.#objects, this.#kernel);

    // Every byte of the units equal or explained, or we stop here.
    this.#pass('match');
    const modules = this.#kernel.modules();
    const matches = await matchUpdate(this.#objects, this.#kernel, this.#context);

    this.#pass('link');
    const linked = linkMatched(this.#update, this.#objects, matches, this.#kernel, (name) => core.get(name));

    // The owners of what the module is bound to, before the loader touches any of it.
    this.#pass('pin');
    pinOwners(this.#id, linked.bound, modules, this.#kernel);
    this.#pass('load');
    await loadModule(linked.name, linked.bytes);

    // The point of no return is inside: before it nothing is written, after it nothing can fail.
    this.#pass('switch');
    this.#switchOn();
    return matches;
  }
}

/**
 * Takes everything of an update that is not applied away: its module, its entry, its record, and the
 * core if nobody else needs it. Does nothing to an applied one.
 */
export async function removeUpdate(id: string): Promise<void> {
  if (hasEntry(id)) {
    if (stageOf(id) === 'applied') return;
    await unloadModule(updateModule(id));
    control(`forget ${id}`);
  }
  if (!hasEntry(id)) removeRecord(id);
  await releaseCore();
}

/** Applies one update. The caller holds the lock. */
export async function applyUpdate(
  prepared: PreparedUpdate,
  kernel: RunningKernel,
  context: LiveContext,
): Promise<ApplyResult> {
  checkModulesAllowed();
  return await new Application(prepared, kernel, context).run();
}
