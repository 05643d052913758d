/**
 * Errors, by who must act. A subclass stands for one exit status; `code` says which failure it is.
 *
 * Messages are lower-case and name the object, the place, what was found and what was expected:
 * `fs/open.o: .text.do_open+0x1f: R_X86_64_PC32 overflows (-0x8a000000)`.
 */
import type { ErrorCode } from './codes.ts';

/** What the user can do now; `details` carries what a program may want to read. */
export interface ErrorExtras {
  readonly hint?: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** The JSON shape of an error on standard output under `--json`. */
export interface ErrorJson {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** Base of everything this program throws on purpose. */
export abstract class KspliceError extends Error {
  abstract readonly exitCode: number;
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, message: string, extras: ErrorExtras = {}) {
    super(message, extras.cause === undefined ? undefined : { cause: extras.cause });
    this.name = new.target.name;
    this.code = code;
    this.hint = extras.hint;
    this.details = extras.details;
  }

  toJSON(): ErrorJson {
    return {
      code: this.code,
      message: this.message,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      ...(this.details === undefined ? {} : { details: this.details }),
    };
  }
}

/** The command line is wrong, or names something that does not exist (exit 64). */
export class UsageError extends KspliceError {
  readonly exitCode = 64;
}

/** Understood, and not safe: the patch author or operator must decide (exit 2). */
export class RefusedError extends KspliceError {
  readonly exitCode = 2;
}

/** The patch changes nothing that could be updated (exit 3). */
export class NoChangeError extends KspliceError {
  readonly exitCode = 3;
}

/** The kernel is not the one that the update was made for (exit 4). */
export class MatchError extends KspliceError {
  readonly exitCode = 4;
}

/** In use just now; trying again may succeed (exit 5). */
export class BusyError extends KspliceError {
  readonly exitCode = 5;
}

/** Input that is malformed, or a source that does not compile (exit 65). */
export class FormatError extends KspliceError {
  readonly exitCode = 65;
}

/** Something that is needed is missing or forbidden on this machine (exit 69). */
export class MissingError extends KspliceError {
  readonly exitCode = 69;
}

/** Our bug: please report it (exit 70). */
export class InternalError extends KspliceError {
  readonly exitCode = 70;
}
