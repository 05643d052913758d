/**
 * Headers that a patch may include though no kernel has them: hooks and shadow fields, for authors of updates.
 * They go into the patched tree as `include/ksplice-*.h`, so that they are found as any header of the kernel is.
 */
import { copyFile, mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

const INCLUSION = /^[ \t]*#[ \t]*include[ \t]*<ksplice-[a-z]+\.h>/m;

/**
 * Adds our headers to a patched tree in which a patched file asks for one.
 * @param mirror the patched tree, not complete yet
 * @param patched paths in it
 * @param headers the directory of our headers
 * @returns paths in the mirror of what was added, maybe none
 */
export async function addAuthorHeaders(
  mirror: string,
  patched: readonly string[],
  headers: string,
): Promise<readonly string[]> {
  const texts = await Promise.all(
    patched.map((file) => readFile(path.join(mirror, file), 'latin1').catch(() => '')),
  );
  if (!texts.some((text) => INCLUSION.test(text))) return [];
  const names = (await readdir(headers)).filter((name) => name.endsWith('.h'));
  await mkdir(path.join(mirror, 'include'), { recursive: true });
  await Promise.all(
    names.map((name) => copyFile(path.join(headers, name), path.join(mirror, 'include', name))),
  );
  return names.map((name) => `include/${name}`);
}
