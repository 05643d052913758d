/** Why a function is replaced, in sentences for people. */
import type { PatchedLines } from '../../update/changes.ts';
import type { InspectedFunction, InspectedUnit } from './inspection.ts';

/** `530-533, 540`. */
export function lineRanges(lines: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const line of lines) {
    const last = ranges.at(-1);
    if (last !== undefined && line === last[1] + 1) last[1] = line;
    else ranges.push([line, line]);
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(', ');
}

function codeText({ file, function: owner, isInlined, removed, added }: PatchedLines): string {
  const where =
    owner === null ? file : isInlined ? `${owner}() of ${file}, inlined` : `its own code in ${file}`;
  const lines = [
    ...(removed.length === 0 ? [] : [`old lines ${lineRanges(removed)}`]),
    ...(added.length === 0 ? [] : [`new lines ${lineRanges(added)}`]),
  ];
  return `the patch changes ${where}: ${lines.join(', ')}`;
}

/** At least one sentence. */
export function reasonsFor(
  { found }: InspectedFunction,
  { changes, source }: InspectedUnit,
): readonly string[] {
  if (found === null) return ['why was not recorded when the update was made'];
  const { why, code } = found;
  if (code.length > 0) return [...code.map(codeText), `first difference: ${why.join('; ')}`];
  const follows = why.every((each) => each.startsWith('goes to '));
  if (follows) return why;
  if (source.endsWith('.S'))
    return [`assembly, of which no lines are kept; first difference: ${why.join('; ')}`];
  const files = changes?.patched.join(', ') ?? '';
  return [
    `no line that the patch changes has code in it: a macro, type or constant, or what the compiler made of the rest (patched in this unit: ${files})`,
    `first difference: ${why.join('; ')}`,
  ];
}
