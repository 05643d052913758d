/**
 * apply and undo, by whichever engine: our core switches its updates together, in one stop; the kernel's livepatch switches one
 * at a time, each by a transition of its own. Where that fails, those that this run has applied before are undone.
 */
import { RefusedError } from '../diagnostics/error.ts';
import type { RunningKernel } from '../kernel/running-kernel.ts';
import { updateModule } from '../update/update-id.ts';
import { type ApplyResult, applyUpdates, figuresOf, functionNames, removeUpdate } from './apply.ts';
import type { LiveContext } from './context.ts';
import { hasEntry, stageOf } from './core-sysfs.ts';
import type { Engine } from './engine.ts';
import { checkModulesAllowed } from './kernel-module.ts';
import {
  applyLivepatch,
  type LivepatchOutcome,
  recoverLivepatch,
  undoLivepatch,
} from './livepatch-engine.ts';
import { isOfLivepatch } from './livepatch-state.ts';
import { isModuleLoaded } from './module-state.ts';
import type { PreparedUpdate } from './prepare-updates.ts';
import { type UndoResult, undoUpdates } from './undo.ts';

/** What switched an update, and what a transition of livepatch took: to its last task. */
export interface ByEngine {
  readonly engine: Engine;
  readonly transitionMs: number | undefined;
}

const BY_JUMP: ByEngine = { engine: 'jump', transitionMs: undefined };

function livepatchResult(
  { update }: PreparedUpdate,
  recovered: ApplyResult['recovered'],
  outcome: LivepatchOutcome | undefined,
): ApplyResult & ByEngine {
  return {
    id: update.id,
    description: update.description,
    alreadyApplied: outcome === undefined,
    recovered,
    functions: functionNames(update),
    mode: update.matching,
    engine: 'livepatch',
    transitionMs: outcome?.transitionMs,
    timing: undefined,
    skipped: [],
    installed: [],
    ...figuresOf(outcome?.matched ?? []),
  };
}

/**
 * Whether the core has the update applied, of one that livepatch is to switch. What an interrupted run has left in the core
 * is taken away. Throws RefusedError for one that stays loaded.
 */
async function isOfCore(id: string): Promise<boolean> {
  if (!hasEntry(id)) return false;
  if (stageOf(id) === 'applied') return true;
  if (stageOf(id) === 'reversed' && isModuleLoaded(updateModule(id))) {
    throw new RefusedError('id_taken', `${id}: undone, with its module still loaded, by the jump engine`, {
      hint: 'apply it with the jump engine again (ksplice apply --engine jump)',
    });
  }
  await removeUpdate(id);
  return false;
}

type Contexts = (id: string) => LiveContext;

/** Those that the core has applied already are its own matter: it says so. */
async function applyOne(
  prepared: PreparedUpdate,
  kernel: RunningKernel,
  contextOf: Contexts,
): Promise<readonly (ApplyResult & ByEngine)[]> {
  const { id } = prepared.update;
  const found = await recoverLivepatch(prepared.update, contextOf(id));
  if (found === 'applied') return [livepatchResult(prepared, found, undefined)];
  if (await isOfCore(id)) {
    return (await applyUpdates([prepared], kernel, contextOf)).map((result) => ({ ...result, ...BY_JUMP }));
  }
  return [livepatchResult(prepared, found, await applyLivepatch(prepared, kernel, contextOf(id)))];
}

async function applyByLivepatch(
  list: readonly PreparedUpdate[],
  kernel: RunningKernel,
  contextOf: Contexts,
): Promise<readonly (ApplyResult & ByEngine)[]> {
  const results: (ApplyResult & ByEngine)[] = [];
  try {
    for (const prepared of list) results.push(...(await applyOne(prepared, kernel, contextOf)));
    return results;
  } catch (error) {
    for (const { id, alreadyApplied } of results.toReversed()) {
      if (!alreadyApplied) await undoLivepatch(id, contextOf(id));
    }
    throw error;
  }
}

async function applyByJumps(
  list: readonly PreparedUpdate[],
  kernel: RunningKernel,
  contextOf: Contexts,
): Promise<readonly (ApplyResult & ByEngine)[]> {
  const found = new Map<PreparedUpdate, Awaited<ReturnType<typeof recoverLivepatch>>>();
  for (const prepared of list) {
    found.set(prepared, await recoverLivepatch(prepared.update, contextOf(prepared.update.id)));
  }
  const ours = list.filter((prepared) => found.get(prepared) !== 'applied');
  const results = new Map((await applyUpdates(ours, kernel, contextOf)).map((result) => [result.id, result]));
  return list.map((prepared) => {
    const result = results.get(prepared.update.id);
    if (result === undefined) return livepatchResult(prepared, 'applied', undefined);
    const recovered = found.get(prepared) === 'leftovers' ? 'leftovers' : result.recovered;
    return { ...result, ...BY_JUMP, recovered };
  });
}

/** Applies updates with an engine, all of them or none. The caller holds the lock. */
export async function applyWith(
  engine: Engine,
  list: readonly PreparedUpdate[],
  kernel: RunningKernel,
  contextOf: Contexts,
): Promise<readonly (ApplyResult & ByEngine)[]> {
  checkModulesAllowed();
  const apply = engine === 'livepatch' ? applyByLivepatch : applyByJumps;
  return await apply(list, kernel, contextOf);
}

/** Undoes updates, those of livepatch first, each by the engine that has it. The caller holds the lock. */
export async function undoAny(
  ids: readonly string[],
  contextOf: Contexts,
): Promise<readonly (UndoResult & ByEngine)[]> {
  const results: (UndoResult & ByEngine)[] = [];
  const [theirs, ours] = [ids.filter(isOfLivepatch), ids.filter((id) => !isOfLivepatch(id))];
  for (const id of theirs) {
    const nothing = { timing: undefined, removed: [], kept: [], stillLoaded: [] };
    results.push({ id, engine: 'livepatch', ...(await undoLivepatch(id, contextOf(id))), ...nothing });
  }
  if (ours.length > 0) {
    const undone = await undoUpdates(ours, contextOf);
    results.push(...undone.map((result) => ({ ...result, ...BY_JUMP })));
  }
  return results;
}
