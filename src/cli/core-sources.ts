import { existsSync } from 'node:fs';
import path from 'node:path';
import { MissingError } from '../diagnostics/error.ts';

/** In a checkout; and where Debian's package has it, above /usr/bin. */
const PLACES = ['core', 'share/ksplice/core'];

/**
 * The directory of the core's sources: one of `PLACES` beside the program, or in a directory above it. `program` is the
 * path of the file that runs (dist/ksplice.cjs or src/cli/main.ts of a checkout).
 */
export function findCoreSources(program: string): string {
  let directory = path.dirname(program);
  for (;;) {
    const found = PLACES.map((place) => path.join(directory, place)).find(
      (candidate) =>
        existsSync(path.join(candidate, 'Kbuild')) && existsSync(path.join(candidate, 'ksplice.h')),
    );
    if (found !== undefined) return found;
    const parent = path.dirname(directory);
    if (parent === directory) {
      throw new MissingError('missing_tool', `${program}: no core sources beside it or above it`, {
        hint: 'updates are made in a checkout of ksplice, or by its package; apply, undo and view work anywhere',
      });
    }
    directory = parent;
  }
}
