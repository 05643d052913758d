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

/** Completes `mirror`, which holds the files `paths`, by links into `source`. */
export async function completeMirror(
  mirror: string,
  source: string,
  paths: readonly string[],
): Promise<void> {
  const directories = new Set<string>();
  for (const file of paths) {
    for (let dir = path.dirname(file); !directories.has(dir); dir = path.dirname(dir)) directories.add(dir);
  }
  const present = new Set([...directories, ...paths].map((entry) => path.join(mirror, entry)));
  for (const directory of directories) {
    await mkdir(path.join(mirror, directory), { recursive: true });
    for (const name of await readdir(path.join(source, directory))) {
      const link = path.join(mirror, directory, name);
      if (!present.has(link)) await symlink(path.join(source, directory, name), link);
    }
  }
}
