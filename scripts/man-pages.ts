/**
 * The man pages: docs/man/*.[15], in mdoc, which groff and mandoc both read as it is. Nothing has to be generated
 * then but the footer, which says which version they are of.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const MAN_SOURCES = 'docs/man';

export interface ManPage {
  /** `ksplice-apply.1` */
  readonly file: string;
  readonly text: string;
}

/** All pages of the checkout at `root`, by name, with the version in the footer. */
export function readManPages(root: string, version: string): readonly ManPage[] {
  const folder = join(root, MAN_SOURCES);
  return readdirSync(folder)
    .filter((file) => /\.[1-8]$/.test(file))
    .toSorted()
    .map((file) => ({
      file,
      text: readFileSync(join(folder, file), 'utf8').replace(/^\.Os$/m, `.Os ksplice ${version}`),
    }));
}

/** Writes them to `folder`, which holds nothing else afterwards; returns their paths. */
export function writeManPages(pages: readonly ManPage[], folder: string): readonly string[] {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return pages.map(({ file, text }) => {
    const path = join(folder, file);
    writeFileSync(path, text);
    return path;
  });
}
