/**
 * Is this the output that a document shows? What is another one each time does not count: times, sizes, digests,
 * serials. A line `...` stands for any lines, also none.
 */

const VARYING: readonly (readonly [RegExp, string])[] = [
  [/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME'],
  [/\b(?:\d+ min )?\d+(?:\.\d+)? (?:s|ms|KB|MB|GB)(?![a-z])/g, 'AMOUNT'],
  [/\b\d+ (?:second|minute|hour|day)s? ago/g, 'AGE'],
  [/\b(?:0x)?[0-9a-f]{8,}\b/g, 'HEX'],
  [/\bserial("?:?) \d+/g, 'serial$1 N'],
  [/"ageSeconds": \d+/g, '"ageSeconds": N'],
  [/^\[ *\d+\.\d+\]/g, '[BOOT]'],
  [/\bstopped \d+ us\b/g, 'stopped N us'],
  [/(timestamp_seconds\S*) [\d.]+$/g, '$1 TIME'],
];

function settled(line: string): string {
  return VARYING.reduce((text, [what, name]) => text.replaceAll(what, name), line.trimEnd());
}

/** Whether `found` is what `shown` says, as whole lines. */
export function isShownOutput(shown: readonly string[], found: readonly string[]): boolean {
  const [first, ...rest] = shown;
  if (first === undefined) return found.length === 0;
  if (first.trim() === '...') {
    return found.some((_, skipped) => isShownOutput(rest, found.slice(skipped))) || rest.length === 0;
  }
  const [line, ...others] = found;
  return line !== undefined && settled(line) === settled(first) && isShownOutput(rest, others);
}
