/**
 * Headers that a patch may include though no kernel has them: hooks and shadow fields, for authors of updates.
 * They go into the patched tree as `include/ksplice-*.h`, so that they are found as any header of the kernel is.
 */
import { copyFile, mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { MissingError } from '../diagnostics/error.ts';

const INCLUSION = /^[ \t]*#[ \t]*include[ \t]*<ksplice-[a-z]+\.h>/m;

/**
 * Adds our headers to a patched tree in which a patched file asks for one.
 * @param mirror the patched tree, not complete yet
 * @param patched paths in it
 * @param headers the directory of our headers
 * @returns paths in the mirror of what was added, maybe none
 * @throws MissingError if this copy of the program lies without its headers
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
  const names = await headerNames(headers);
  await mkdir(path.join(mirror, 'include'), { recursive: true });
  await Promise.all(
    names.map((name) => copyFile(path.join(headers, name), path.join(mirror, 'include', name))),
  );
  return names.map((name) => `include/${name}`);
}

async function headerNames(headers: string): Promise<readonly string[]> {
  const found = await readdir(headers).catch((cause: unknown) => {
    throw noHeaders(headers, 'cannot be read', cause);
  });
  const names = found.filter((name) => /^ksplice-.*\.h$/.test(name));
  if (names.length === 0) throw noHeaders(headers, 'holds none', undefined);
  return names;
}

function noHeaders(headers: string, what: string, cause: unknown): MissingError {
  return new MissingError(
    'missing_tool',
    `the patch includes <ksplice-*.h>, and the directory of these headers ${what}: ${headers}`,
    {
      hint: 'make the update in a checkout of ksplice, or put its include/ where it was looked for',
      details: { directory: headers },
      cause,
    },
  );
}
