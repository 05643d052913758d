/**
 * Somebody else's text as it may stand in a line: what moves the cursor of a terminal or turns the direction of writing
 * is replaced.
 */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, '\ufffd');
}

/** The same for text of several lines; tabs stay. */
export function printableLines(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, (character) =>
    character === '\n' || character === '\t' ? character : '\ufffd',
  );
}
