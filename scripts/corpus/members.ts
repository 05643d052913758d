/**
 * The members of the corpus: the C files that a release changes and that the kernel of this configuration is
 * compiled from.
 *
 * Most are units: an object of their name is in a list of kbuild's. A few are included by units instead
 * (`kernel/sched/rt.c`), and change those. A file that the release adds or removes is no member: one file alone cannot
 * say which list it comes into, or vanishes from.
 */
import { includersOf, readInclusions } from '../../src/build/included-sources.ts';
import { objectOf } from '../../src/build/locate-units.ts';
import type { PreparedTree } from '../../src/build/tree.ts';
import { findListedObjects } from '../kbuild/listed-objects.ts';
import type { FilePatch } from './release-patches.ts';

export interface Member {
  readonly patch: FilePatch;
  /** Whether it is compiled by itself, or only as a part of others. */
  readonly kind: 'unit' | 'included';
}

export async function findMembers(
  tree: PreparedTree,
  patches: readonly FilePatch[],
  signal: AbortSignal,
): Promise<readonly Member[]> {
  const candidates = patches.filter(({ file, kind }) => kind === 'changed' && mayBelong(file));
  const inclusions = await readInclusions(tree);
  const includers = new Map(
    candidates.map(({ file }) => [file, includersOf(file, inclusions).filter((name) => name.endsWith('.c'))]),
  );
  const sources = new Set([...candidates.map(({ file }) => file), ...[...includers.values()].flat()]);
  const listed = await findListedObjects(tree, [...sources].map(objectOf), signal);
  return candidates.flatMap((patch): Member[] => {
    if (listed.has(objectOf(patch.file))) {
      return [{ patch, kind: 'unit' }];
    }
    const isIncluded = includers.get(patch.file)?.some((name) => listed.has(objectOf(name))) ?? false;
    return isIncluded ? [{ patch, kind: 'included' }] : [];
  });
}

/** C files, less those of other architectures and of programs that come with the kernel: kbuild need not be asked. */
function mayBelong(file: string): boolean {
  return (
    file.endsWith('.c') && !/^(?:tools|samples|scripts|Documentation|usr|arch\/(?!x86\/)[^/]+)\//.test(file)
  );
}
