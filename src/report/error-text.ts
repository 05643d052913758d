import { type ErrorJson, InternalError, KspliceError } from '../diagnostics/error.ts';
import { ADVICE } from './advice.ts';

/** An exception as an error of ours; one that nobody threw on purpose is a bug (exit 70). */
export function asKspliceError(error: unknown): KspliceError {
  if (error instanceof KspliceError) {
    return error;
  }
  const message = error instanceof Error ? error.message : String(error);
  return new InternalError('unexpected', `unexpected error: ${message}`, {
    cause: error,
  });
}

/** What can be done: as the error says, or what helps with errors of its code. */
function hintOf({ hint, code }: KspliceError): string | undefined {
  return hint ?? ADVICE[code] ?? undefined;
}

/** What a person reads on standard error. With `verbose`, where it was thrown and what caused it. */
export function errorText(error: KspliceError, verbose = false): string {
  const lines = [`ksplice: ${error.message}`];
  const hint = hintOf(error);
  if (hint !== undefined) {
    lines.push(`hint: ${hint}`);
  }
  if (verbose) {
    lines.push(error.stack ?? '');
    for (let cause = error.cause; cause instanceof Error; cause = cause.cause) {
      lines.push(`caused by: ${cause.stack ?? cause.message}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** What a program reads on standard output under `--json`. */
export function errorJson(error: KspliceError): ErrorJson {
  const { code, message, hint: _, ...rest } = error.toJSON();
  const hint = hintOf(error);
  return { code, message, ...(hint === undefined ? {} : { hint }), ...rest };
}
