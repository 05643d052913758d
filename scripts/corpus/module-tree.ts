import { mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { run } from '../../src/process/run.ts';
import type { GuestFile } from '../../test/support/vm/initramfs.ts';
import type { StageContext } from './stage.ts';

/**
 * All modules of a kernel with depmod's indexes, as files for a guest: there modprobe finds what a module depends on,
 * and the kernel what it asks for by itself (an algorithm, a protocol).
 *
 * A package that was only unpacked has no indexes, and nothing may be written beside it; so depmod is shown a
 * directory of links. Throws CommandError.
 */
export async function moduleTree({
  release,
  modules,
}: StageContext['kernel']): Promise<readonly GuestFile[]> {
  const inGuest = `/lib/modules/${release}`;
  const base = await mkdtemp(path.join(tmpdir(), 'ksplice-depmod-'));
  try {
    const linked = path.join(base, 'lib', 'modules', release);
    await mkdir(linked, { recursive: true });
    for (const name of await readdir(modules)) {
      await symlink(path.join(modules, name), path.join(linked, name));
    }
    await run(['/usr/sbin/depmod', '-b', base, release]);
    const indexes = (await readdir(linked, { withFileTypes: true })).filter((entry) => entry.isFile());
    const files = await readdir(modules, { recursive: true, withFileTypes: true });
    return [
      ...files
        .filter((entry) => entry.isFile())
        .map((entry) => path.join(entry.parentPath, entry.name))
        .map((from) => ({ path: path.join(inGuest, path.relative(modules, from)), from })),
      ...(await Promise.all(
        indexes.map(async ({ name }) => ({
          path: path.join(inGuest, name),
          contents: await readFile(path.join(linked, name)),
        })),
      )),
    ];
  } finally {
    await rm(base, { recursive: true, force: true });
  }
}
