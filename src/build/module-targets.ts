/**
 * The targets that an object is linked into. Nearly every object has one; a few are listed for several modules, and
 * lie in the memory of each of them.
 *
 * kbuild compiles such an object once and joins the names of all it is part of (`nfs:nfsd`), names of parts of vmlinux
 * among them; which of them are modules is told by the lists of the configuration.
 */
import { RefusedError } from '../diagnostics/error.ts';
import type { CompileCommand } from './compile-command.ts';
import { type ConfigurationOptions, readConfiguration } from './configuration-units.ts';
import { moduleNameOf } from './module-lists.ts';
import type { PreparedTree } from './tree.ts';

/** `vmlinux`, or names of modules, sorted. Throws RefusedError where the configuration does not tell them. */
export async function targetsOf(
  tree: PreparedTree,
  command: CompileCommand,
  options: ConfigurationOptions,
): Promise<readonly string[]> {
  if (command.module === undefined) return ['vmlinux'];
  if (!command.module.includes(':')) return [command.module];
  const { modules } = await readConfiguration(tree, options);
  const named = modules.filter(({ objects }) => objects.includes(command.object)).map(moduleNameOf);
  const joined = [...new Set(command.module.split(':'))];
  if (joined.some((name) => !named.includes(name))) {
    throw new RefusedError(
      'refused',
      `${command.object} is part of ${joined.join(' and ')}, of which ${named.join(' and ') || 'none'} is a module`,
      {
        hint: 'an object that is part of the kernel and of a module at once is not supported',
        details: { object: command.object, joined, modules: named },
      },
    );
  }
  return [...new Set(named)].sort();
}
