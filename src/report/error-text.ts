import { type ErrorJson, InternalError, KspliceError } from '../diagnostics/error.ts';

/** An exception as an error of ours; one that nobody threw on purpose is a bug (exit 70). */
export function asKspliceError(error: unknown): KspliceError {
  if (error instanceof KspliceError) {
    return error;
  }
  const message = error instanceof Error ? error.message : String(error);
  return new InternalError('unexpected', `unexpected error: ${message}`, {
    hint: 'this is a bug in ksplice: please report it, with the output of the same command with -v',
    cause: error,
  });
}

/** What a person reads on standard error. With `verbose`, where it was thrown and what caused it. */
export function errorText(error: KspliceError, verbose = false): string {
  const lines = [`ksplice: ${error.message}`];
  if (error.hint !== undefined) {
    lines.push(`hint: ${error.hint}`);
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
  return error.toJSON();
}
