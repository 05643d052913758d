/**
 * The fixed modules of one update, as apply and undo deal with them: installed with a word in the journal before, so that
 * what a run had put there when it was killed or failed can be told from what an update had there before it.
 */
import type { Update } from '../update/update.ts';
import { areInstalled, deleteLeftovers, hideModules, installModules } from './install-modules.ts';
import { note, wasLeftOpen } from './journal.ts';
import { ModuleTree, readInstalled } from './module-directory.ts';

/** Words in the journal. */
const INSTALL = 'install';
const ENDS = ['done', 'installed', 'removed'] as const;

export interface RemovedModules {
  /** Paths of the files that are gone. */
  readonly removed: readonly string[];
  /** Files that somebody had altered, and that were left. */
  readonly kept: readonly string[];
}

/** Installs the modules `names`, unless they are there. Returns the paths of what it installed. */
export async function installFixed(update: Update, names: readonly string[]): Promise<readonly string[]> {
  const tree = new ModuleTree();
  if (names.length === 0 || areInstalled(tree, update, names)) return [];
  note(update.id, INSTALL);
  return await installModules(tree, update, names);
}

/** Takes all of an update's modules away. */
export async function removeFixed(id: string): Promise<RemovedModules> {
  const tree = new ModuleTree();
  const installed = readInstalled(tree, id);
  if (installed === undefined) {
    deleteLeftovers(tree, id);
    return { removed: [], kept: [] };
  }
  const { removed, kept, finish } = await hideModules(tree, installed);
  finish();
  return { removed, kept };
}

/**
 * Takes away what a run installed that did not come to its end. Returns whether there was such a run. If the files cannot
 * be removed now, the journal goes on saying so, and `ksplice view` shows them.
 */
export async function removeUnfinished(id: string): Promise<'none' | 'removed' | 'stuck'> {
  if (!wasLeftOpen(id, INSTALL, ENDS)) return 'none';
  try {
    await removeFixed(id);
  } catch {
    return 'stuck';
  }
  note(id, 'removed');
  return 'removed';
}
