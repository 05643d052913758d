/**
 * Test cases as text, one a line: bytes in hex, a comma, what is expected. A line that starts with `#` is a comment.
 *
 *     # a call, to itself
 *     e8 fb ff ff ff, call 0x1000
 */
export interface HexCase {
  readonly line: string;
  readonly bytes: Uint8Array;
  readonly expected: string;
}

export function hexTable(text: string): readonly HexCase[] {
  const cases = text
    .split('\n')
    .map((line) => line.replace(/^#.*/, '').trim())
    .filter((line) => line !== '')
    .map((line) => {
      const comma = line.indexOf(',');
      if (comma < 0) throw new Error(`no comma in: ${line}`);
      return { line, bytes: hexToBytes(line.slice(0, comma)), expected: line.slice(comma + 1).trim() };
    });
  if (cases.length === 0) throw new Error('the table is empty');
  return cases;
}

/** `0f 1f 00`, to bytes; anything else is thrown. */
export function hexToBytes(text: string): Uint8Array {
  const pairs = text.trim() === '' ? [] : text.trim().split(/\s+/);
  for (const pair of pairs) {
    if (!/^[0-9a-f]{2}$/.test(pair)) throw new Error(`not a byte: ${pair}`);
  }
  return Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16));
}
