/**
 * What the project's own programs share at their two ends: how they read their flags, and how they end when something
 * went wrong.
 */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { KspliceError, UsageError } from '../src/diagnostics/error.ts';

type Flags = NonNullable<ParseArgsConfig['options']>;
export type FlagValues<T extends Flags> = ReturnType<typeof parseArgs<{ options: T }>>['values'];

/** Strict: a flag that is not in `options`, one without its value, or a word that is no flag is a UsageError. */
export function readFlags<const T extends Flags>(argv: readonly string[], options: T): FlagValues<T> {
  try {
    return parseArgs({ args: [...argv], options }).values;
  } catch (cause) {
    throw new UsageError('usage', cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/** A flag's value as a number from 1 to `most`; `otherwise` where it was not given. Throws UsageError. */
export function numberFlag(flag: string, text: string | undefined, otherwise: number, most = 99_999): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!/^[0-9]{1,5}$/.test(text) || value < 1 || value > most) {
    throw new UsageError('usage', `${flag} ${text}: expected a number from 1 to ${most}`);
  }
  return value;
}

/** Prints an error of ours as `program: message` with its hint, and returns the exit status; throws all others again. */
export function reportError(program: string, error: unknown): number {
  if (!(error instanceof KspliceError)) throw error;
  process.stderr.write(`${program}: ${error.message}\n`);
  if (error.hint !== undefined) process.stderr.write(`${program}: hint: ${error.hint}\n`);
  return error.exitCode;
}
