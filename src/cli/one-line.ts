/** Somebody else's text as one line of printable characters, cut where it gets too long. */
export function oneLine(text: string, most: number): string {
  return text
    .replaceAll(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}\s]+/gu, ' ')
    .trim()
    .slice(0, most)
    .replace(/[\ud800-\udbff]$/u, '');
}
