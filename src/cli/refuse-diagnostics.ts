import { RefusedError } from '../diagnostics/error.ts';
import type { Diagnostic } from '../diff/diagnostic.ts';

/** Each reason on a line of its own, and below it what to do; advice that several share, at the first of them. */
function listed(errors: readonly Diagnostic[]): string {
  const given = new Set<string>();
  const lines = errors.flatMap(({ message, hint }) => {
    if (hint === undefined || given.has(hint)) return [`  ${message}`];
    given.add(hint);
    return [`  ${message}`, `    hint: ${hint}`];
  });
  return `${errors.length} reasons:\n${lines.join('\n')}`;
}

/** Throws RefusedError with every reason there is, if there is one; all of each in `details.diagnostics`. */
export function refuseDiagnostics(errors: readonly Diagnostic[]): void {
  const [first, ...rest] = errors;
  if (first === undefined) return;
  throw new RefusedError('refused', rest.length === 0 ? first.message : listed(errors), {
    ...(rest.length > 0 || first.hint === undefined ? {} : { hint: first.hint }),
    details: { diagnostics: errors },
  });
}
