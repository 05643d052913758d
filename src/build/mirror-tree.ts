/**
 * A source tree that differs in a few files, without copying or touching the original.
 *
 * A patched file must compile as if it had been patched in place: the same headers, found in the same
 * order, the same `__FILE__`. Compiling it from elsewhere with an `-iquote` for its old directory comes
 * close, but lets every header see that directory too, and loses `"../x.h"` and `.c` files that are included.
 * So the directory of copies is completed to a whole tree: wherever a copy lies, its directory and those
 * above get a symbolic link for every other entry of the original. A compiler that is given this root in
 * place of the original finds each file under the path that it would have had, and the patched ones patched.
 */
import { mkdir, readdir, symlink } from 'node:fs/promises';
import path from 'node:path';

export interface MirrorOptions {
  /** Files that the mirror is to lack. */
  readonly removed?: readonly string[];
  /**
   * Directories to make although no copy lies in them: from a directory that is a link, `../x.h` would lead
   * into the original.
   */
  readonly directories?: readonly string[];
}

/** Completes `mirror`, which holds the files `paths`, by links into `source`. */
export async function completeMirror(
  mirror: string,
  source: string,
  paths: readonly string[],
  { removed = [], directories: wanted = [] }: MirrorOptions = {},
): Promise<void> {
  const directories = new Set<string>();
  for (const file of [...paths, ...removed, ...wanted.map((directory) => path.join(directory, 'x'))]) {
    for (let dir = path.dirname(file); !directories.has(dir); dir = path.dirname(dir)) directories.add(dir);
  }
  const present = new Set([...directories, ...paths, ...removed].map((entry) => path.join(mirror, entry)));
  for (const directory of directories) {
    await mkdir(path.join(mirror, directory), { recursive: true });
    // A directory that the patch brings is none of the original's.
    for (const name of await readdir(path.join(source, directory)).catch(() => [])) {
      const link = path.join(mirror, directory, name);
      if (!present.has(link)) await symlink(path.join(source, directory, name), link);
    }
  }
}
