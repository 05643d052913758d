import {
  AliasNotFoundError,
  ArgumentParseError,
  ArgumentScannerError,
  FlagNotFoundError,
  InvalidNegatedFlagSyntaxError,
  UnexpectedFlagError,
  UnexpectedPositionalError,
  UnsatisfiedFlagError,
  UnsatisfiedPositionalError,
} from '@stricli/core';
import { UsageError } from '../diagnostics/error.ts';

const SEE_HELP = 'see ksplice --help, or --help after a command';

function usage(message: string, hint: string = SEE_HELP): UsageError {
  return new UsageError('usage', message, { hint });
}

/** `did you mean --patch or --image?`; undefined when nothing comes near. */
function suggestion(corrections: readonly string[]): string | undefined {
  return corrections.length === 0 ? undefined : `did you mean ${corrections.join(' or ')}?`;
}

export function unknownCommand(input: string, corrections: readonly string[]): UsageError {
  return usage(
    `unknown command ${JSON.stringify(input)}`,
    suggestion(corrections.map((name) => name.replaceAll('`', ''))),
  );
}

/** The framework's error about arguments, in our words. */
export function argumentError(error: unknown): unknown {
  if (error instanceof FlagNotFoundError) {
    const corrections = error.corrections.map((name) => `--${name}`);
    return usage(`unknown flag --${error.input}`, suggestion(corrections));
  }
  if (error instanceof AliasNotFoundError) {
    return usage(`unknown flag -${error.input}`);
  }
  if (error instanceof ArgumentParseError) {
    const reason = error.exception instanceof Error ? error.exception.message : String(error.exception);
    return usage(
      `${flagName(error.externalFlagNameOrPlaceholder)} ${JSON.stringify(error.input)}: ${reason}`,
    );
  }
  if (error instanceof UnsatisfiedFlagError) {
    const next = error.nextFlagName === undefined ? '' : `, found --${error.nextFlagName}`;
    return usage(`--${error.externalFlagName}: a value is expected${next}`);
  }
  if (error instanceof UnexpectedPositionalError) {
    return usage(`unexpected argument ${JSON.stringify(error.input)}, expected ${error.expectedCount}`);
  }
  if (error instanceof UnsatisfiedPositionalError) {
    return usage(`${error.placeholder}: an argument is missing`);
  }
  if (error instanceof InvalidNegatedFlagSyntaxError) {
    return usage(`--${error.externalFlagName} takes no value`);
  }
  if (error instanceof UnexpectedFlagError) {
    return usage(`--${error.externalFlagName}: given twice, as ${error.previousInput} and ${error.input}`);
  }
  return error instanceof ArgumentScannerError ? usage(error.message) : error;
}

/** Placeholders are upper-case, flags are not. */
function flagName(name: string): string {
  return name === name.toUpperCase() ? name : `--${name}`;
}
