import { buildCommand, type Command } from '@stricli/core';
import {
  type CliContext,
  commonAliases,
  commonFlags,
  debugFlag,
  describeCommand,
  lazily,
  text,
  waitFlag,
} from './command.ts';
import type { CommonFlags } from './session.ts';

export type UndoFlags = CommonFlags & {
  readonly debug?: boolean;
  readonly wait?: number;
};

export const undoCommand: Command<CliContext> = buildCommand<UndoFlags, string[], CliContext>({
  loader: lazily(async () => (await import('./undo.ts')).undo),
  parameters: {
    flags: {
      wait: waitFlag,
      debug: debugFlag,
      ...commonFlags,
    },
    aliases: commonAliases,
    positional: {
      kind: 'array',
      minimum: 1,
      parameter: {
        parse: text,
        placeholder: 'ID',
        brief: 'Update that is applied, as ksplice view names it',
      },
    },
  },
  docs: {
    brief: 'Bring the old code back',
    fullDescription: describeCommand(
      'Reverses updates by the same protocol that applied them: all of them in one stop, or none. One on top of another\ncomes first. What livepatch has applied is reversed by it, one at a time.',
      [0, 4, 5, 64, 69, 70],
      ['sudo ksplice undo cve_2026_53249'],
    ),
  },
});
