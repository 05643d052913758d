import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { moduleNameOf, readModuleFile } from '../../src/kernel/image/module-directory.ts';
import { moduleInfo } from '../../src/kernel/image/module-info.ts';
import type { GuestFile } from '../../test/support/vm/initramfs.ts';

/** What tells modprobe which modules are built in, and in which order the others are. */
const INDEXES = ['modules.builtin', 'modules.builtin.modinfo', 'modules.order'];

/**
 * The files of modules and of all that they depend on, where modprobe looks for them. `directory`: lib/modules/RELEASE
 * of the kernel's package. A module that it does not have is left out: modprobe will say so.
 */
export async function guestModules(
  directory: string,
  release: string,
  names: Iterable<string>,
): Promise<readonly GuestFile[]> {
  const paths = new Map(
    readdirSync(directory, { recursive: true, encoding: 'utf8' }).map((path) => [moduleNameOf(path), path]),
  );
  const wanted = new Set(names);
  const files = INDEXES.filter((name) => [...readdirSync(directory)].includes(name));
  // A set that grows is walked to its end.
  for (const name of wanted) {
    const path = paths.get(name);
    if (path === undefined) continue;
    files.push(path);
    for (const needed of moduleInfo(await readModuleFile(join(directory, path))).depends) wanted.add(needed);
  }
  return files.map((path) => ({ path: `/lib/modules/${release}/${path}`, from: join(directory, path) }));
}
