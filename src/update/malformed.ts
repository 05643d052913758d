import { type ErrorExtras, FormatError } from '../diagnostics/error.ts';

const HINT = 'copy the file again, or make the update again with `ksplice create`';

/** The error of everything that is wrong with an update file: `FILE: PLACE: found X, expected Y`. */
export function malformedUpdate(
  file: string,
  place: string,
  found: string,
  expected: string,
  extras: ErrorExtras = {},
): FormatError {
  return new FormatError('malformed_update', `${file}: ${place}: found ${found}, expected ${expected}`, {
    hint: HINT,
    details: { file, place, found, expected },
    ...extras,
  });
}

/** A piece of someone else's text, safe to print: quoted, escaped, and cut where it gets long. */
export function quoted(text: string): string {
  const most = 80;
  const cut = text.length > most ? `${text.slice(0, most)}...` : text;
  return JSON.stringify(cut).replaceAll(
    /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
