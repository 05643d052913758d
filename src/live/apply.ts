/**
 * apply: the passes, in the order that docs/safety.md proves.
 *
 * Several updates are applied in one stop or not at all: each goes through all passes up to its switch, in the order given,
 * and then they are switched together. Where that fails, what this run has made is taken away, the last one first.
 *
 * Each pass is announced in the journal before it begins. A run can be killed at any of them: the kernel
 * is then updated or not, never between, because only the core switches, and it does so in one stop. The
 * next run finds what is left (`recover`) and either says that the update is applied or starts again.
 */
import { type BusyError, MatchError, RefusedError } from '../diagnostics/error.ts';
import type { RunningKernel } from '../kernel/running-kernel.ts';
import { linkMatched } from '../link/link-matched.ts';
import type { MatchedUnit } from '../link/matched-unit.ts';
import type { MatchMode } from '../match/match-unit.ts';
import { identityDifference } from '../update/kernel-identity.ts';
import type { Update } from '../update/update.ts';
import { updateModule } from '../update/update-id.ts';
import { abortError } from './abort-cause.ts';
import { changeStagesLogged } from './change-stage.ts';
import { checkCoreTakesLists, checkTogether } from './check-together.ts';
import { chooseSkipped, type SkippedTarget, withoutTargets } from './choose-targets.ts';
import type { LiveContext } from './context.ts';
import { ensureCore, releaseCore } from './core-module.ts';
import { control, hasEntry, type SwitchTiming, stageOf, timingOf } from './core-sysfs.ts';
import { installFixed, removeUnfinished } from './fixed-modules.ts';
import { throwIfInterrupted } from './interrupted.ts';
import { note, readRecord, removeRecord, writeRecord } from './journal.ts';
import { checkModulesAllowed, loadModule, removeLinkedModules, unloadModule } from './kernel-module.ts';
import { refuseLivepatched } from './livepatch-owner.ts';
import { matchUpdate } from './match-update.ts';
import { isModuleLoaded, srcversionOf } from './module-state.ts';
import { cameMeanwhile, pinOwners, pinTargets, skipTargets } from './pin-owners.ts';
import type { PreparedUpdate } from './prepare-updates.ts';
import { runningIdentity } from './running-identity.ts';
import { leftAbove, requireBelow } from './updates-below.ts';

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

/** Bytes compared, and what rewritten places held. */
export function figuresOf(matched: readonly MatchedUnit[]): Pick<ApplyResult, 'compared' | 'explained'> {
  const matches = matched.flatMap(({ match, below }) => [match, ...below.values()]);
  const explained: Record<string, number> = {};
  for (const match of matches) {
    for (const [what, count] of match.explained) explained[what] = (explained[what] ?? 0) + count;
  }
  return { compared: matches.reduce((sum, match) => sum + match.compared, 0), explained };
}

export function functionNames(update: Update): readonly string[] {
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
  /** What there is to do for it at the end. `none`: it is applied, or is not in memory. */
  #rest: 'begin' | 'none' | 'switch on' | 'switch on again' | 'install' = 'begin';
  /** What of it is in the kernel and in files is this run's, and to be taken away if it does not come to its end. */
  #isOurs = false;
  #recovered: ApplyResult['recovered'] = 'nothing';
  #matched: readonly MatchedUnit[] = [];
  #installed: readonly string[] = [];

  constructor(prepared: PreparedUpdate, kernel: RunningKernel, context: LiveContext) {
    this.#whole = prepared;
    this.#part = prepared;
    this.#context = context;
    this.#kernel = kernel;
  }

  get id(): string {
    return this.#whole.update.id;
  }

  #pass(name: (typeof applyPasses)[number]): void {
    throwIfInterrupted(this.#context.signal);
    note(this.id, name);
    this.#context.onStep(name);
  }

  /**
   * What an earlier run left: an applied update is done; a resident one only has to be switched on;
   * everything else is taken away, and we start afresh.
   */
  async #recover(): Promise<'nothing' | 'leftovers' | 'applied' | 'resident'> {
    const id = this.id;
    removeLinkedModules();
    if (!hasEntry(id)) return (await removeUnfinished(id)) === 'none' ? 'nothing' : 'leftovers';
    const record = readRecord(id);
    const stage = stageOf(id);
    if (stage !== 'preparing' && record !== undefined && record.digest !== this.#whole.update.digest) {
      throw new RefusedError('id_taken', `${id}: another update with this ID is ${stage}`, {
        hint:
          stage === 'applied'
            ? `undo it first (ksplice undo ${id}), or give this one another ID (ksplice create --id)`
            : 'its module stays loaded until the machine boots again: give this one another ID (ksplice create --id)',
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
    throw new MatchError('no_match', `${this.id}: ${difference}; its code matches, but not its core`, {
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

  get isSwitched(): boolean {
    return this.#rest === 'switch on' || this.#rest === 'switch on again';
  }

  /** From here on the core has the word. */
  announceSwitch(): void {
    this.#pass('switch');
  }

  /** The error for a switch that the core did not make because of a module that came, if that is why. */
  cameError(): BusyError | undefined {
    const came = this.#cameMeanwhile();
    if (came === undefined) return undefined;
    return this.#rest === 'switch on again'
      ? cameMeanwhile(
          this.id,
          came.name,
          'unload it (modprobe -r), then try again: modprobe loads the fixed one',
        )
      : cameMeanwhile(this.id, came.name);
  }

  #result(): ApplyResult {
    const isInstalledBefore = this.#rest === 'install' && this.#installed.length === 0;
    return {
      id: this.id,
      description: this.#whole.update.description,
      alreadyApplied: this.#recovered === 'applied' || isInstalledBefore,
      recovered: this.#recovered,
      functions: functionNames(this.#part.update),
      mode: this.#whole.update.matching,
      timing: hasEntry(this.id) ? timingOf(this.id) : undefined,
      skipped: this.#skipped.map(({ name }) => name),
      installed: this.#installed,
      ...figuresOf(this.#matched),
    };
  }

  /** All passes before the switch. `earlier`: those that are applied in the same stop, and come before. */
  async prepare(earlier: readonly Update[]): Promise<void> {
    const { update } = this.#whole;
    // Kept before anything is touched: whoever finds an entry in the core must know what it is.
    const found = await this.#recover();
    if (found === 'applied' || found === 'resident') {
      if (found === 'resident') requireBelow(update, earlier);
      this.#recovered = found === 'applied' ? 'applied' : 'nothing';
      this.#rest = found === 'applied' ? 'none' : 'switch on again';
      this.#skip(this.#skippedBefore());
      await this.#install();
      if (found === 'applied' && this.#installed.length > 0) note(this.id, 'installed');
      return;
    }
    this.#recovered = found;
    requireBelow(update, earlier);
    this.#skip(chooseSkipped(update, this.#context.partial, { isLoaded: isModuleLoaded, srcversionOf }));
    if (this.#part.update.units.length === 0) {
      await this.#installOnly();
      return;
    }
    this.#rest = 'switch on';
    writeRecord(
      update,
      this.#skipped.map(({ name }) => name),
    );
    this.#pass('recover');
    this.#isOurs = true;
    this.#matched = await this.#fromCoreToLoad();
  }

  /** The update is in force. */
  done(): ApplyResult {
    if (this.isSwitched) note(this.id, 'done');
    // The files say themselves whose they are.
    if (this.#rest === 'install') removeRecord(this.id);
    return this.#result();
  }

  /** Takes away what this run has made of it. */
  async abandon(): Promise<void> {
    if (this.#isOurs) await removeUpdate(this.id);
  }

  /** What the update was applied without when it was, by our own record. */
  #skippedBefore(): readonly SkippedTarget[] {
    const names = readRecord(this.id)?.skipped ?? [];
    return this.#whole.update.modules
      .filter(({ name }) => names.includes(name))
      .map(({ name, srcversion }) => ({ name, srcversion, isLoaded: isModuleLoaded(name) }));
  }

  /** Nothing of it is in memory, so the core has no part in it: what modprobe finds is all. */
  async #installOnly(): Promise<void> {
    const difference = identityDifference(this.#whole.update.kernel, runningIdentity(), 'is running');
    if (difference !== undefined) {
      throw new MatchError('no_match', `${this.id}: ${difference}`, {
        hint: 'create the update again for the kernel that is running',
      });
    }
    this.#rest = 'install';
    this.#isOurs = true;
    await this.#install();
    const came = this.cameError();
    if (came !== undefined) throw came;
  }

  async #fromCoreToLoad(): Promise<readonly MatchedUnit[]> {
    const { update, objects } = this.#part;
    const difference = identityDifference(update.kernel, runningIdentity(), 'is running');
    if (difference !== undefined) await this.#refuseOtherKernel(difference);
    refuseLivepatched(update);

    // The core first: it is what keeps modules from going away under the match.
    this.#pass('core');
    const core = await ensureCore(update, this.#kernel);
    this.#pass('create');
    const errno = control(`create ${this.id}`);
    if (errno !== undefined) throw abortError([this.id], 'apply', errno);
    // Modules that are to be updated, those of updates below among them: from here on they stay, so what matching finds stays true.
    pinTargets(this.id, objects, this.#kernel);
    skipTargets(this.id, this.#skipped);

    // Every byte of the units equal or explained, or we stop here.
    this.#pass('match');
    const modules = this.#kernel.modulesOfSymbols();
    const matches = await matchUpdate(objects, this.#kernel, this.#context);

    this.#pass('link');
    const linked = linkMatched(update, objects, matches, this.#kernel, (name) => core.get(name));

    // The owners of what the module is bound to, before the loader touches any of it.
    this.#pass('pin');
    pinOwners(this.id, linked.bound, modules, this.#kernel);
    this.#pass('load');
    await loadModule(linked.name, linked.bytes);

    // From here on modprobe takes the fixed modules of what is not loaded.
    await this.#install();
    return matches;
  }
}

/**
 * Takes everything of an update that is not applied away: its module, its entry, what an unfinished run installed, its
 * record, and the core if nobody else needs it. Does nothing to an applied one. What a run that was killed has left on top
 * of it holds its module, and goes first.
 */
export async function removeUpdate(id: string): Promise<void> {
  if (hasEntry(id)) {
    if (stageOf(id) === 'applied') return;
    for (const other of leftAbove(id)) await removeUpdate(other);
    await unloadModule(updateModule(id));
    control(`forget ${id}`);
  }
  const installed = await removeUnfinished(id);
  if (!hasEntry(id) && installed !== 'stuck') removeRecord(id);
  await releaseCore();
}

function idsToSwitch(list: readonly Application[]): readonly string[] {
  return list.filter(({ isSwitched }) => isSwitched).map(({ id }) => id);
}

/** All of them in one stop. */
function switchTogether(list: readonly Application[], context: LiveContext): void {
  for (const one of list) one.announceSwitch();
  const [first, ...others] = list.map(({ id }) => id);
  if (first === undefined) return;
  // The point of no return is inside: before it nothing is written, after it nothing can fail.
  const errno = changeStagesLogged([first, ...others], 'applied', context);
  if (errno === undefined) return;
  const came = list.map((one) => one.cameError()).find((error) => error !== undefined);
  throw came ?? abortError([first, ...others], 'apply', errno);
}

/**
 * Applies updates, all of them or none: those that are applied already stay so. The caller holds the lock. `contextOf`: what
 * the passes of one update report to.
 */
export async function applyUpdates(
  list: readonly PreparedUpdate[],
  kernel: RunningKernel,
  contextOf: (id: string) => LiveContext,
): Promise<readonly ApplyResult[]> {
  checkModulesAllowed();
  const updates = list.map(({ update }) => update);
  checkTogether(updates);
  const begun: Application[] = [];
  try {
    for (const [i, prepared] of list.entries()) {
      const one = new Application(prepared, kernel, contextOf(prepared.update.id));
      begun.push(one);
      await one.prepare(updates.slice(0, i));
      checkCoreTakesLists(idsToSwitch(begun), 'apply');
    }
    const switched = begun.filter(({ isSwitched }) => isSwitched);
    switchTogether(switched, contextOf(switched.map(({ id }) => id).join(', ')));
  } catch (error) {
    for (const one of begun.toReversed()) await one.abandon();
    throw error;
  }
  return begun.map((one) => one.done());
}
