/** Which line a place in code is from, by the line table of an object, or by what create recorded of it. */

import type { UnitItem } from '../../diff/unit.ts';
import { type LineRow, readLineRows, type SourceLine } from '../../elf/line-table.ts';
import type { ObjectFile } from '../../elf/model.ts';
import type { UnitChanges } from '../../update/changes.ts';

/** The line of an offset in a function or cold part. */
export type SourceLines = (item: UnitItem, offset: number) => SourceLine | undefined;

interface Start extends SourceLine {
  readonly from: number;
}

/** The last of the list that begins at the place or before. */
function lastBefore<T extends { readonly from: number }>(list: readonly T[], place: number): T | undefined {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((list[middle]?.from ?? 0) <= place) low = middle + 1;
    else high = middle;
  }
  return list[low - 1];
}

export function linesOfObject(object: ObjectFile): SourceLines {
  const rows = readLineRows(object);
  return (item, offset) => {
    const row: LineRow | undefined = lastBefore(rows.get(item.section.index) ?? [], item.entry + offset);
    return row === undefined || row.to <= item.entry + offset ? undefined : row;
  };
}

export function linesOfRecord({ files, lines }: Pick<UnitChanges, 'files' | 'lines'>): SourceLines {
  const byName = new Map(
    lines.map(({ name, rows }) => {
      const starts: Start[] = [];
      for (let at = 0; at + 2 < rows.length; at += 3) {
        const [from = 0, file = 0, line = 0] = rows.slice(at, at + 3);
        starts.push({ from, file: files[file] ?? '?', line });
      }
      return [name, starts] as const;
    }),
  );
  return (item, offset) => lastBefore(byName.get(item.name) ?? [], offset);
}
