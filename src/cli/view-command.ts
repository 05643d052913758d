import { buildCommand, type Command } from '@stricli/core';
import { type CliContext, describeCommand, jsonFlag, lazily, text, verboseFlag } from './command.ts';
import type { CommonFlags } from './session.ts';

export type ViewFlags = CommonFlags & {
  readonly file?: string;
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
      json: jsonFlag,
      verbose: verboseFlag,
    },
    aliases: { v: 'verbose' },
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
      'Shows the updates of the running kernel: what each replaces, and its stage (preparing, applied, reversed).\nWith an ID, its patch as well. With --file, the contents of an update file, which is checked in full first.',
      [0, 64, 65, 69, 70],
      ['ksplice view', 'ksplice view --file cve_2026_53249.ksplice --json'],
    ),
  },
});
