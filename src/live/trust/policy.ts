/**
 * /etc/ksplice/policy: what this machine asks of an update's signature.
 *
 *     # comments, empty lines
 *     signatures = require
 *
 * Strict: a line that is not understood is refused, since it may be the one that forbids something.
 */
import { FormatError } from '../../diagnostics/error.ts';
import { quoted } from '../../update/malformed.ts';

/**
 * `require`: signed by a trusted key, or refused. `warn`: what is not signed, or by a key that is not known, is
 * applied with a warning. `off`: signatures are not looked at.
 */
export type SignatureMode = 'require' | 'warn' | 'off';

const MODES: readonly SignatureMode[] = ['require', 'warn', 'off'];
const WORDS = `signatures = ${MODES.join(', ')}`;

function malformed(file: string, line: number, found: string, expected: string): FormatError {
  return new FormatError('malformed_policy', `${file}:${line}: found ${found}, expected ${expected}`, {
    hint: 'a policy is one line, signatures = warn or another of these words; comments begin with #',
    details: { file, line },
  });
}

/** Throws FormatError `malformed_policy` with file and line. */
export function parsePolicy(text: string, file: string): SignatureMode {
  let mode: SignatureMode | undefined;
  const lines = text.split('\n');
  for (const [index, line] of lines.entries()) {
    if (/^[ \t]*(#.*)?\r?$/.test(line)) continue;
    const [, key, value] = /^[ \t]*([a-z_-]+)[ \t]*=[ \t]*([a-z]+)[ \t]*\r?$/.exec(line) ?? [];
    if (key !== 'signatures') throw malformed(file, index + 1, quoted(line), WORDS);
    if (mode !== undefined) throw malformed(file, index + 1, 'signatures a second time', 'it once');
    mode = MODES.find((each) => each === value);
    if (mode === undefined) throw malformed(file, index + 1, quoted(line), WORDS);
  }
  if (mode === undefined) throw malformed(file, lines.length, 'no line that says anything', WORDS);
  return mode;
}
