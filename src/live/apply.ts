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
import type { MatchMode } from '../match/match-unit.ts';
import { identityDifference } from '../update/kernel-identity.ts';
import type { Update } from '../update/update.ts';
import { updateModule } from '../update/update-id.ts';
import { abortError } from './abort-cause.ts';
import { changeStageLogged } from './change-stage.ts';
import { chooseSkipped, type SkippedTarget, withoutTargets } from './choose-targets.ts';
import type { LiveContext } from './context.ts';
import { ensureCore, releaseCore } from './core-module.ts';
import { control, hasEntry, type SwitchTiming, stageOf, timingOf } from './core-sysfs.ts';
import { installFixed, removeUnfinished } from './fixed-modules.ts';
import { throwIfInterrupted } from './interrupted.ts';
import { note, readRecord, removeRecord, writeRecord } from './journal.ts';
import {
  checkModulesAllowed,
  isModuleLoaded,
  loadModule,
  removeLinkedModules,
  srcversionOf,
  unloadModule,
} from './kernel-module.ts';
import { refuseLivepatched } from './livepatch-owner.ts';
import { matchUpdate } from './match-update.ts';
import { cameMeanwhile, pinOwners, pinTargets, skipTargets } from './pin-owners.ts';
import type { PreparedUpdate } from './prepare-updates.ts';
import { runningIdentity } from './running-identity.ts';
import { requireBelow } from './updates-below.ts';

/** The passes by name, in order: the list of docs/safety.md. With skipped targets there is `install` before `switch`. */
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
  /** Undefined if there was nothing to switch in memory: all targets were skipped. */
  readonly timing: SwitchTiming | undefined;
  /** Targets that were skipped: not loaded, or loaded as the fixed module already. */
  readonly skipped: readonly string[];
  /** Paths of the fixed modules that were put where modprobe finds them. */
  readonly installed: readonly string[];
  /** Bytes of text compared, and what rewritten places held. */
  readonly compared: number;
  readonly explained: Readonly<Record<string, number>>;
}

function functionNames(update: Update): readonly string[] {
  return update.units.flatMap((unit) => unit.functions.map((each) => each.preName));
}

/** One update's way through the passes, with what each of them made. */
class Application {
  readonly #whole: PreparedUpdate;
  readonly #context: LiveContext;
  readonly #kernel: RunningKernel;
  /** What is done in memory: all of it but the skipped targets. */
  #part: PreparedUpdate;
  #skipped: readonly SkippedTarget[] = [];
  #installed: readonly string[] = [];

  constructor(prepared: PreparedUpdate, kernel: RunningKernel, context: LiveContext) {
    this.#whole = prepared;
    this.#part = prepared;
    this.#context = context;
    this.#kernel = kernel;
  }

  get #id(): string {
    return this.#whole.update.id;
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
    if (!hasEntry(id)) return (await removeUnfinished(id)) === 'none' ? 'nothing' : 'leftovers';
    const record = readRecord(id);
    const stage = stageOf(id);
    if (stage !== 'preparing' && record !== undefined && record.digest !== this.#whole.update.digest) {
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
    await matchUpdate(this.#part.objects, this.#kernel, this.#context);
    throw new MatchError('no_match', `${this.#id}: ${difference}; its code matches, but not its core`, {
      hint: 'create the update again for the kernel that is running',
    });
  }

  #skip(skipped: readonly SkippedTarget[]): void {
    this.#skipped = skipped;
    this.#part = withoutTargets(this.#whole, skipped);
  }

  /** The fixed modules of what is skipped; a word in the journal tells the next run of them. */
  async #install(): Promise<void> {
    if (this.#skipped.length === 0) return;
    throwIfInterrupted(this.#context.signal);
    this.#context.onStep('install');
    const names = this.#skipped.map(({ name }) => name);
    this.#installed = await installFixed(this.#whole.update, names);
  }

  /** A target that was not loaded, and now is: as something else than the fixed module. */
  #cameMeanwhile(): SkippedTarget | undefined {
    return this.#skipped.find(
      ({ name, srcversion }) => isModuleLoaded(name) && srcversionOf(name) !== srcversion,
    );
  }

  #switchOn(hint?: string): void {
    const errno = changeStageLogged(this.#id, 'applied', this.#context);
    if (errno === undefined) return;
    const came = this.#cameMeanwhile();
    throw came === undefined
      ? abortError(this.#id, 'apply', errno)
      : cameMeanwhile(this.#id, came.name, hint);
  }

  #result(
    recovered: ApplyResult['recovered'],
    matched: readonly MatchedUnit[],
    changes: Partial<ApplyResult> = {},
  ): ApplyResult {
    const matches = matched.flatMap(({ match, below }) => [match, ...below.values()]);
    const explained: Record<string, number> = {};
    for (const match of matches) {
      for (const [what, count] of match.explained) explained[what] = (explained[what] ?? 0) + count;
    }
    return {
      id: this.#id,
      description: this.#whole.update.description,
      alreadyApplied: recovered === 'applied',
      recovered,
      functions: functionNames(this.#part.update),
      mode: this.#whole.update.matching,
      timing: hasEntry(this.#id) ? timingOf(this.#id) : undefined,
      skipped: this.#skipped.map(({ name }) => name),
      installed: this.#installed,
      compared: matches.reduce((sum, match) => sum + match.compared, 0),
      explained,
      ...changes,
    };
  }

  async run(): Promise<ApplyResult> {
    const { update } = this.#whole;
    // Kept before anything is touched: whoever finds an entry in the core must know what it is.
    const found = await this.#recover();
    if (found === 'applied' || found === 'resident') {
      if (found === 'resident') requireBelow(update);
      this.#skip(this.#skippedBefore());
      await this.#install();
      if (found === 'resident') {
        this.#pass('switch');
        this.#switchOn('unload it (modprobe -r), then try again: modprobe loads the fixed one');
        note(this.#id, 'done');
      } else if (this.#installed.length > 0) {
        note(this.#id, 'installed');
      }
      return this.#result(found === 'applied' ? 'applied' : 'nothing', []);
    }
    requireBelow(update);
    this.#skip(chooseSkipped(update, this.#context.partial, { isLoaded: isModuleLoaded, srcversionOf }));
    if (this.#part.update.units.length === 0) return await this.#installOnly(found);
    writeRecord(
      update,
      this.#skipped.map(({ name }) => name),
    );
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

  /** What the update was applied without when it was, by our own record. */
  #skippedBefore(): readonly SkippedTarget[] {
    const names = readRecord(this.#id)?.skipped ?? [];
    return this.#whole.update.modules
      .filter(({ name }) => names.includes(name))
      .map(({ name, srcversion }) => ({ name, srcversion, isLoaded: isModuleLoaded(name) }));
  }

  /** Nothing of it is in memory, so the core has no part in it: what modprobe finds is all. */
  async #installOnly(recovered: 'nothing' | 'leftovers'): Promise<ApplyResult> {
    const difference = identityDifference(this.#whole.update.kernel, runningIdentity(), 'is running');
    if (difference !== undefined) {
      throw new MatchError('no_match', `${this.#id}: ${difference}`, {
        hint: 'create the update again for the kernel that is running',
      });
    }
    try {
      await this.#install();
      const came = this.#cameMeanwhile();
      if (came !== undefined) throw cameMeanwhile(this.#id, came.name);
    } catch (error) {
      await removeUpdate(this.#id);
      throw error;
    }
    // The files say themselves whose they are.
    removeRecord(this.#id);
    return this.#result(recovered, [], { alreadyApplied: this.#installed.length === 0 });
  }

  async #fromCoreToSwitch(): Promise<readonly MatchedUnit[]> {
    const { update, objects } = this.#part;
    const difference = identityDifference(update.kernel, runningIdentity(), 'is running');
    if (difference !== undefined) await this.#refuseOtherKernel(difference);
    refuseLivepatched(update);

    // The core first: it is what keeps modules from going away under the match.
    this.#pass('core');
    const core = await ensureCore(update, this.#kernel);
    this.#pass('create');
    const errno = control(`create ${this.#id}`);
    if (errno !== undefined) throw abortError(this.#id, 'apply', errno);
    // Modules that are to be updated, those of updates below among them: from here on they stay, so what matching finds stays true.
    pinTargets(this.#id, objects, this.#kernel);
    skipTargets(this.#id, this.#skipped);

    // Every byte of the units equal or explained, or we stop here.
    this.#pass('match');
    const modules = this.#kernel.modules();
    const matches = await matchUpdate(objects, this.#kernel, this.#context);

    this.#pass('link');
    const linked = linkMatched(update, objects, matches, this.#kernel, (name) => core.get(name));

    // The owners of what the module is bound to, before the loader touches any of it.
    this.#pass('pin');
    pinOwners(this.#id, linked.bound, modules, this.#kernel);
    this.#pass('load');
    await loadModule(linked.name, linked.bytes);

    // From here on modprobe takes the fixed modules of what is not loaded.
    await this.#install();

    // The point of no return is inside: before it nothing is written, after it nothing can fail.
    this.#pass('switch');
    this.#switchOn();
    return matches;
  }
}

/**
 * Takes everything of an update that is not applied away: its module, its entry, what an unfinished run installed, its
 * record, and the core if nobody else needs it. Does nothing to an applied one.
 */
export async function removeUpdate(id: string): Promise<void> {
  if (hasEntry(id)) {
    if (stageOf(id) === 'applied') return;
    await unloadModule(updateModule(id));
    control(`forget ${id}`);
  }
  const installed = await removeUnfinished(id);
  if (!hasEntry(id) && installed !== 'stuck') removeRecord(id);
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
