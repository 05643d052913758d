/**
 * How a command is put together: its description (flags, arguments, help) is always loaded, its body only when
 * it runs, so that `--help` does not pay for what building or matching needs.
 */
import type { BaseFlags, CommandContext, CommandFunction, StricliProcess } from '@stricli/core';
import { watchCommands } from './command-log.ts';
import type { Host } from './host.ts';
import { type CommonFlags, createSession, type Session } from './session.ts';

/** What the framework hands to every command. */
export interface CliContext extends CommandContext {
  readonly process: StricliProcess;
  readonly host: Host;
  /** Sets the exit status of a command that does not fail. */
  readonly endWith: (status: number) => void;
}

export type CommandBody<Flags extends CommonFlags, Args extends readonly unknown[]> = (
  session: Session,
  flags: Flags,
  ...args: Args
) => Promise<void>;

/** The loader of a command: imports its body, and gives it a session. */
export function lazily<Flags extends CommonFlags & BaseFlags, Args extends readonly unknown[]>(
  load: () => Promise<CommandBody<Flags, Args>>,
): () => Promise<CommandFunction<Flags, Args, CliContext>> {
  return async () => {
    const body = await load();
    return async function runBody(this: CliContext, flags: Flags, ...args: Args): Promise<void> {
      const session = createSession(this.host, flags, this.endWith);
      const unwatch = session.verbose
        ? watchCommands((line) => {
            session.progress.print(`$ ${line}`);
          })
        : undefined;
      try {
        await body(session, flags, ...args);
        session.progress.done();
      } catch (error) {
        session.progress.fail();
        throw error;
      } finally {
        unwatch?.();
      }
    };
  };
}

/** Flags of every command, beside -h. */
export const commonFlags = {
  json: {
    kind: 'boolean',
    brief: 'Print the result, or the error, as one JSON object on standard output',
    optional: true,
    withNegated: false,
  },
  quiet: {
    kind: 'boolean',
    brief:
      'Say nothing of what is being done and of what was done: warnings, errors, and what is asked for stay',
    optional: true,
    withNegated: false,
  },
  verbose: {
    kind: 'boolean',
    brief: 'Print every command that is run, and where an error comes from',
    optional: true,
    withNegated: false,
  },
} as const;

/** Their short names. */
export const commonAliases = { q: 'quiet', v: 'verbose' } as const;

/** For flags and arguments that are taken as they are. */
export function text(input: string): string {
  return input;
}

/** Goes with the image of a kernel at rest. */
export const modulesFlag = {
  kind: 'parsed',
  parse: text,
  optional: true,
  placeholder: 'DIR',
  brief: 'Where the modules of that kernel are: DIR as /lib/modules/RELEASE',
} as const;

/** The only argument of a command that looks at an update. */
export const updateFile = {
  kind: 'tuple',
  parameters: [{ parse: text, placeholder: 'FILE', brief: 'Update file, as ksplice create wrote it' }],
} as const;

/** The arguments of a command that takes update files. */
export const updateFiles = { kind: 'array', minimum: 1, parameter: updateFile.parameters[0] } as const;

/** Of a command that switches the kernel. */
export const debugFlag = {
  kind: 'boolean',
  optional: true,
  withNegated: false,
  brief: 'Show each attempt, and the stacks of the tasks that were in the way',
} as const;

const EXIT_STATUS: Readonly<Record<number, string>> = {
  0: 'done',
  2: 'refused: understood, and not safe',
  3: 'no change: the patch has no effect on the code',
  4: 'the running kernel is not the one that this was made for',
  5: 'busy: try again',
  64: 'usage',
  65: 'malformed input, or a source that does not compile',
  69: 'something that is needed is missing or forbidden here',
  70: 'a bug in ksplice',
};

/** The text of a command's help: what it does, exit status, an example. */
export function describeCommand(
  what: string,
  exitCodes: readonly number[],
  example: readonly string[],
): string {
  const codes = exitCodes.map((code) => `  ${String(code).padEnd(3)} ${EXIT_STATUS[code] ?? ''}`);
  return [what, '', 'EXIT STATUS', ...codes, '', 'EXAMPLE', ...example.map((line) => `  ${line}`)].join('\n');
}

/** Seconds, at least one and at most a day. */
function seconds(input: string): number {
  const value = Number(input);
  if (/^\d+$/.test(input) && value >= 1 && value <= 86_400) return value;
  throw new Error(`'${input}': a number of seconds, from 1 to 86400`);
}

export const waitFlag = {
  kind: 'parsed',
  parse: seconds,
  optional: true,
  placeholder: 'SECONDS',
  brief: 'How long tasks may take to be switched by livepatch, before it is given up [60]',
} as const;
