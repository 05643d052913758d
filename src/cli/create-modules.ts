/**
 * create --build-modules: the modules that an update changes, each as a whole, for machines on which they are not loaded.
 */
import { mkdir, realpath } from 'node:fs/promises';
import path from 'node:path';
import { buildModule } from '../build/build-module.ts';
import type { BuiltUnit } from '../build/build-units.ts';
import type { PreparedTree } from '../build/tree.ts';
import { InternalError, RefusedError } from '../diagnostics/error.ts';
import type { UpdateModule, UpdateUnit } from '../update/update.ts';

export interface WholeModulesOptions {
  readonly tree: PreparedTree;
  /** Directory of the kernel's Module.symvers. */
  readonly symvers: string;
  readonly workDir: string;
  readonly jobs: number;
  readonly signal: AbortSignal;
  readonly onProgress: (step: string) => void;
}

/**
 * Builds every module that is a target of `units`, by name. `built` has all that the patch touches: a unit of which the
 * update takes nothing, since only code that has run differs, is in the whole module all the same, which has not run yet.
 */
export async function buildWholeModules(
  built: readonly BuiltUnit[],
  units: readonly UpdateUnit[],
  options: WholeModulesOptions,
): Promise<readonly UpdateModule[]> {
  const names = [...new Set(units.map(({ target }) => target))]
    .filter((target) => target !== 'vmlinux')
    .sort();
  refuseHooks(units);
  const workDir = await realpath(options.workDir);
  const modules: UpdateModule[] = [];
  for (const name of names) {
    options.onProgress(`building ${name} as a whole`);
    const directory = path.join(workDir, name);
    await mkdir(directory);
    const patched = new Map(
      built.filter(({ target }) => target === name).map((unit) => [unit.path, plain(unit)]),
    );
    modules.push(await buildModule(name, patched, { ...options, workDir: directory }));
  }
  return modules;
}

function plain({ path: unit, postPlain }: BuiltUnit): Uint8Array {
  if (postPlain === undefined)
    throw new InternalError('unexpected', `${unit}: was not compiled for a module`);
  return postPlain;
}

/** Nobody calls the hooks of a module that is loaded as a whole. */
function refuseHooks(units: readonly UpdateUnit[]): void {
  const unit = units.find(({ target, hooks }) => target !== 'vmlinux' && hooks.length > 0);
  if (unit === undefined) return;
  const names = unit.hooks.map(({ name }) => name);
  throw new RefusedError(
    'refused',
    `${unit.path}: has hooks (${names.join(', ')}), which nobody calls when ${unit.target} is loaded as a whole`,
    {
      hint: 'leave out --build-modules, and have the module loaded when the update is applied',
      details: { unit: unit.path, hooks: names },
    },
  );
}
