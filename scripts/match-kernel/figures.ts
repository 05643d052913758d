/**
 * How the time of matching grows with the number of units: linear, or something is wrong.
 *
 * Units are taken evenly from all that match. The kernel's tables are read anew each time, since every run of the
 * program has to; the kernel's image and its symbols are not, and the code has been compiled by then.
 */
import { type MatchedKernel, matchEach } from './match-units.ts';
import type { CompiledUnit } from './unit-result.ts';

export interface Figure {
  readonly units: number;
  /** Bytes compared. */
  readonly bytes: number;
  readonly milliseconds: number;
}

const COUNTS = [1, 10, 100, 1000] as const;

/** `count` of them, from all over the list; all if there are fewer. */
export function takeEvenly<T>(items: readonly T[], count: number): readonly T[] {
  if (count >= items.length) return items;
  return Array.from(
    { length: count },
    (_, i) => items[Math.floor(((i + 0.5) * items.length) / count)],
  ).flatMap((item) => (item === undefined ? [] : [item]));
}

/** Of a kernel at rest, for each number of units up to the first that takes all. */
export async function measureFigures(
  units: readonly CompiledUnit[],
  matched: MatchedKernel,
): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const count of COUNTS) {
    const { results, milliseconds } = await matchEach(takeEvenly(units, count), matched);
    const bytes = results.reduce((sum, result) => sum + result.bytes, 0);
    figures.push({ units: results.length, bytes, milliseconds });
    if (count >= units.length) break;
  }
  return figures;
}

function row(...cells: readonly string[]): string {
  return cells.map((cell) => cell.padStart(10)).join('');
}

export function figuresText(figures: readonly Figure[]): string {
  return [
    row('units', 'MB', 'ms', 'MB/s', 'ms/unit'),
    ...figures.map(({ units, bytes, milliseconds }) =>
      row(
        String(units),
        (bytes / 1e6).toFixed(3),
        milliseconds.toFixed(1),
        (bytes / 1e3 / milliseconds).toFixed(1),
        (milliseconds / units).toFixed(2),
      ),
    ),
    `peak memory of this process: ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MB`,
    '',
  ].join('\n');
}
