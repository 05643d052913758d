/**
 * Puts fixed modules where modprobe finds them first, and takes them away again.
 *
 * Every file is written beside its place, brought to the disk and renamed, and nothing counts before depmod has written its
 * indexes anew; so a run that is killed leaves modprobe with the old module or with the new one. What fails is taken
 * back.
 */
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { BusyError, KspliceError, MissingError, RefusedError } from '../diagnostics/error.ts';
import { encodeManifest } from '../update/manifest.ts';
import type { Update, UpdateModule } from '../update/update.ts';
import { runDepmod } from './depmod.ts';
import {
  type InstalledModule,
  type InstalledUpdate,
  listInstalled,
  MANIFEST_FILE,
  type ModuleTree,
  readInstalled,
} from './module-directory.ts';
import { syncToDisk } from './sync-to-disk.ts';

/** What a module is named while it is being written, and while it is being taken away. */
const NEW = '.new';
const REMOVED = '.removed';

/** The file system's errors that say: not on this machine, not now. */
const unwritable = new Set([
  'EROFS',
  'EACCES',
  'EPERM',
  'ENOSPC',
  'EDQUOT',
  'ENOENT',
  'ENOTDIR',
  'EEXIST',
  'EIO',
]);

/** What to throw for what was caught. */
function asMissing(error: unknown, what: string): unknown {
  if (error instanceof KspliceError || !(error instanceof Error)) return error;
  const code = 'code' in error ? String(error.code) : '';
  if (!unwritable.has(code)) return error;
  return new MissingError('modules_not_writable', `${what}: ${error.message}`, {
    hint: 'fixed modules are kept in /lib/modules: is it there, writable, and is there room?',
    details: { errno: code },
    cause: error,
  });
}

/** Those of an update's modules that the machine has a file of: others cannot be loaded, and need no fix. */
function modulesHere(tree: ModuleTree, update: Update, names: readonly string[]): readonly UpdateModule[] {
  return update.modules.filter(({ name }) => names.includes(name) && tree.firstFile(name) !== undefined);
}

/** Modprobe must take the kernel's own module, or ours: another one is not what the update was made from. */
function refuseOverridden(tree: ModuleTree, update: Update, modules: readonly UpdateModule[]): void {
  for (const { name } of modules) {
    const owner = listInstalled(tree).find(
      ({ id, modules: theirs }) => id !== update.id && theirs.some((each) => each.name === name),
    );
    if (owner !== undefined) {
      throw new BusyError(
        'module_busy',
        `${update.id}: the module ${name} is there already, fixed by the update ${owner.id}`,
        {
          hint: `undo that update first (ksplice undo ${owner.id})`,
          details: { module: name, owner: owner.id },
        },
      );
    }
    const file = tree.firstFile(name) ?? '';
    const own = path.relative(tree.root, tree.directoryOf(update.id));
    if (!file.startsWith('kernel/') && path.dirname(file) !== own) {
      throw new RefusedError(
        'refused',
        `${update.id}: modprobe takes ${name} from ${file}, which is not the kernel's own module`,
        {
          hint: 'the update was made for the module that comes with the kernel; remove the other one first',
          details: { module: name, file },
        },
      );
    }
  }
}

/** Are all of them there, and what modprobe takes? */
export function areInstalled(tree: ModuleTree, update: Update, names: readonly string[]): boolean {
  try {
    const installed = readInstalled(tree, update.id);
    return modulesHere(tree, update, names).every(({ name, srcversion }) => {
      const one = installed?.modules.find((each) => each.name === name);
      const isFirst = one !== undefined && tree.firstFile(name) === path.relative(tree.root, one.path);
      return isFirst && one.state === 'ours' && one.srcversion === srcversion;
    });
  } catch {
    return false;
  }
}

/**
 * Installs the modules `names` of an update; returns the paths of the files. Throws MissingError (69) where that cannot be
 * done; then everything is as before.
 */
export async function installModules(
  tree: ModuleTree,
  update: Update,
  names: readonly string[],
): Promise<readonly string[]> {
  try {
    const modules = modulesHere(tree, update, names);
    refuseOverridden(tree, update, modules);
    if (modules.length === 0) return [];
    await placeFiles(tree, update, modules);
    return modules.map((module) => tree.fileOf(update.id, module));
  } catch (error) {
    throw asMissing(error, `${update.id}: the fixed modules cannot be installed`);
  }
}

/** mkdir() says ENOENT of a read-only file system where more than one directory is missing; whoever is told wants the reason. */
function makeDirectory(directory: string): void {
  let there = directory;
  while (!existsSync(there)) there = path.dirname(there);
  accessSync(there, constants.W_OK);
  mkdirSync(directory, { recursive: true, mode: 0o755 });
}

async function placeFiles(tree: ModuleTree, update: Update, modules: readonly UpdateModule[]): Promise<void> {
  const directory = tree.directoryOf(update.id);
  try {
    makeDirectory(directory);
    // The manifest first: by it whoever comes after a run that was killed knows what the rest is.
    const manifest = path.join(directory, MANIFEST_FILE);
    writeBeside(manifest, encodeManifest(update.manifest, manifest));
    renameSync(`${manifest}${NEW}`, manifest);
    for (const module of modules) writeBeside(tree.fileOf(update.id, module), module.bytes);
    for (const module of modules) {
      const file = tree.fileOf(update.id, module);
      renameSync(`${file}${NEW}`, file);
    }
    for (const each of [directory, tree.updates, path.dirname(tree.updates)]) syncToDisk(each);
    await runDepmod(tree);
    for (const { name } of modules) {
      const found = tree.firstFile(name);
      const wanted = path.relative(tree.root, tree.fileOf(update.id, { file: path.basename(found ?? '') }));
      if (found === wanted) continue;
      throw new MissingError(
        'modules_not_writable',
        `${update.id}: depmod prefers ${found} to the fixed ${name}`,
        {
          hint: 'let updates be the first word of the search line in /etc/depmod.d, then apply the update again',
          details: { module: name, found },
        },
      );
    }
  } catch (error) {
    await takeAway(tree, update.id, modules);
    throw error;
  }
}

/** On the disk, under the name that it is renamed from when all files are there. */
function writeBeside(file: string, bytes: Uint8Array): void {
  const beside = `${file}${NEW}`;
  rmSync(beside, { force: true });
  writeFileSync(beside, bytes, { flag: 'wx', mode: 0o644, flush: true });
}

/** After a failure: whatever was written goes, and what still fails then is not told over the first failure. */
async function takeAway(
  tree: ModuleTree,
  id: string,
  modules: readonly Pick<UpdateModule, 'file'>[],
): Promise<void> {
  try {
    deleteFiles(
      tree,
      id,
      modules.map(({ file }) => file),
    );
    await runDepmod(tree);
  } catch {
    // `ksplice undo` finds what is left.
  }
}

function deleteFiles(tree: ModuleTree, id: string, files: readonly string[]): void {
  const directory = tree.directoryOf(id);
  for (const file of [...files, MANIFEST_FILE]) {
    for (const suffix of ['', NEW, REMOVED])
      rmSync(path.join(directory, `${file}${suffix}`), { force: true });
  }
  for (const each of [directory, tree.updates, path.dirname(tree.updates)]) removeIfEmpty(each);
}

/** What a run has left that was killed before it had written a manifest. */
export function deleteLeftovers(tree: ModuleTree, id: string): void {
  deleteFiles(tree, id, []);
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Something else is in it, or it is gone.
  }
}

/** Modules that modprobe does not find any more, and the files of which are there until `finish`. */
export interface HiddenModules {
  readonly removed: readonly string[];
  /** Files that are not as they were installed: left where they are. */
  readonly kept: readonly string[];
  readonly finish: () => void;
  readonly restore: () => Promise<void>;
}

/**
 * Takes an update's modules out of modprobe's sight. Throws MissingError (69) where that cannot be done; then everything is
 * as before. Files that somebody has altered since are left.
 */
export async function hideModules(tree: ModuleTree, installed: InstalledUpdate): Promise<HiddenModules> {
  const ours = installed.modules.filter(({ state }) => state === 'ours');
  const altered = installed.modules.filter(({ state }) => state === 'altered');
  const restore = async (): Promise<void> => {
    for (const { path: file } of ours) renameBack(file);
    await runDepmod(tree);
  };
  try {
    for (const { path: file } of ours) renameSync(file, `${file}${REMOVED}`);
    await runDepmod(tree);
  } catch (error) {
    await restore().catch(() => undefined);
    throw asMissing(error, `${installed.id}: the fixed modules cannot be removed`);
  }
  const gone = installed.modules.filter(({ state }) => state !== 'altered').map(({ file }) => file);
  return {
    removed: pathsOf(ours),
    kept: pathsOf(altered),
    finish: () => {
      deleteFiles(tree, installed.id, gone);
    },
    restore,
  };
}

function renameBack(file: string): void {
  try {
    renameSync(`${file}${REMOVED}`, file);
  } catch {
    // It had not been renamed yet.
  }
}

function pathsOf(modules: readonly InstalledModule[]): readonly string[] {
  return modules.map((module) => module.path);
}
