import { hex } from '../../src/diagnostics/hex.ts';
import { countUnits } from './count.ts';
import type { Hole, MatchRun } from './unit-result.ts';

const NAMES_SHOWN = 12;

/** Holes that lie together and have one reason are one line. */
function holeLines(holes: readonly Hole[]): readonly string[] {
  const groups = new Map<string, Hole[]>();
  for (const hole of holes) {
    const group = groups.get(hole.reason);
    if (group === undefined) groups.set(hole.reason, [hole]);
    else group.push(hole);
  }
  return [...groups].map(([reason, group]) => {
    const names = group.map(({ name, start }) => name ?? `bytes at ${hex(start)}`);
    const more = names.length > NAMES_SHOWN ? `, and ${names.length - NAMES_SHOWN} more` : '';
    return `HOLE ${reason}: ${names.slice(0, NAMES_SHOWN).join(', ')}${more}`;
  });
}

/** What came of matching all units with one kernel; lines for people. */
export function matchRunText({ units, coverage, milliseconds }: MatchRun): string {
  const counts = countUnits(units);
  const megabytes = counts.bytes / 1e6;
  const notCompared = new Map(counts.notCompared.map(({ target, reason }) => [target, reason]));
  const { functions, matched, bytes, matchedBytes, fillBytes } = coverage;
  return [
    ...counts.mismatches.map(({ target, reason }) => `MISMATCH ${reason} (${target})`),
    ...[...notCompared].map(([target, reason]) => `NOT LOADED ${target}: ${reason}`),
    ...holeLines(coverage.holes),
    `units: ${counts.units}; ${counts.matching} match, ${counts.mismatches.length} do not, ${counts.notCompared.length} not compared`,
    `of them in modules: ${counts.inModules.units} match, ${counts.inModules.bytes} bytes`,
    `functions of vmlinux: ${matched} of ${functions} that kallsyms has there`,
    `bytes of vmlinux: ${matchedBytes} matched and ${fillBytes} of filling, of ${bytes} from first to last`,
    `names that several functions have: ${counts.toldApart.length} functions told apart`,
    'rewritten places, by what is there:',
    ...counts.explained.map(([kind, places]) => `${String(places).padStart(8)}  ${kind}`),
    `time: ${milliseconds.toFixed(0)} ms for ${megabytes.toFixed(2)} MB: ${((1000 * megabytes) / milliseconds).toFixed(1)} MB/s`,
    '',
  ].join('\n');
}

/** Whether nothing is left to explain. A module that could not be loaded says nothing about matching. */
export function isProven({ units, coverage }: MatchRun): boolean {
  return units.every(({ outcome }) => outcome !== 'mismatch') && coverage.holes.length === 0;
}
