/** What the patch touches, or the build looked at, and the update does not change. */
import { counted } from '../format.ts';
import type { Inspection } from './inspection.ts';

export interface PassedOver {
  readonly title: string;
  readonly entries: readonly string[];
}

/** Lists that are not empty; undefined if nothing was recorded. */
export function passedOver({ created, units }: Inspection): readonly PassedOver[] | undefined {
  if (created === null) return undefined;
  const ofUnits = (
    of: (changes: NonNullable<Inspection['units'][number]['changes']>) => readonly string[],
  ): readonly string[] =>
    units.flatMap(({ path, changes }) =>
      changes === null ? [] : of(changes).map((text) => `${path}: ${text}`),
    );
  const lists: readonly PassedOver[] = [
    { title: 'Passed over, or said when it was made', entries: created.notes },
    { title: 'Units that were compiled, and are the same', entries: created.same },
    {
      title: 'Functions that are the same',
      entries: ofUnits(({ unchanged }) => [counted(unchanged, 'function')]),
    },
    {
      title: 'Gone from the source; the kernel keeps them',
      entries: ofUnits(({ removedFunctions, removedData }) => [...removedFunctions, ...removedData]),
    },
  ];
  return lists.filter(({ entries }) => entries.length > 0);
}
