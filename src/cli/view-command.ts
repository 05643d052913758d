import { buildCommand, type Command } from '@stricli/core';
import { type CliContext, commonAliases, commonFlags, describeCommand, lazily, text } from './command.ts';
import type { CommonFlags } from './session.ts';

export type ViewFlags = CommonFlags & {
  readonly file?: string;
  readonly check?: boolean;
};

export const viewCommand: Command<CliContext> = buildCommand<ViewFlags, [string?], CliContext>({
  loader: lazily(async () => (await import('./view.ts')).view),
  parameters: {
    flags: {
      file: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'FILE',
        brief: 'Show what is in an update file, instead of what is applied',
      },
      check: {
        kind: 'boolean',
        optional: true,
        withNegated: false,
        brief:
          'Judge, in one line, as a plugin of a monitor does: 0 as it should be, 1 warning, 2 critical, 3 unknown',
      },
      ...commonFlags,
    },
    aliases: commonAliases,
    positional: {
      kind: 'tuple',
      parameters: [
        {
          parse: text,
          optional: true,
          placeholder: 'ID',
          brief: 'Show this update, with its patch [all, without]',
        },
      ],
    },
  },
  docs: {
    brief: 'Show what is applied, or what is in an update file',
    fullDescription: describeCommand(
      'Shows the updates of the running kernel: what each replaces, and its stage (preparing, applied, reversed).\nWith an ID, its patch as well. With --file, the contents of an update file, which is checked in full first.\nWith --check, one line and an exit status as Nagios, Icinga and their like expect them: 0 OK, 1 WARNING, 2 CRITICAL,\n3 UNKNOWN, in place of those below. With an ID, too, that update has to be applied.',
      [0, 64, 65, 69, 70],
      [
        'ksplice view',
        'ksplice view --file cve_2026_53249.ksplice --json',
        'ksplice view --check cve_2026_53249',
      ],
    ),
  },
});
