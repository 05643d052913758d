import { buildCommand, type Command } from '@stricli/core';
import {
  type CliContext,
  describeCommand,
  jsonFlag,
  lazily,
  quietFlag,
  text,
  verboseFlag,
} from './command.ts';
import type { CommonFlags } from './session.ts';

export const undoCommand: Command<CliContext> = buildCommand<CommonFlags, string[], CliContext>({
  loader: lazily(async () => (await import('./undo.ts')).undo),
  parameters: {
    flags: { json: jsonFlag, quiet: quietFlag, verbose: verboseFlag },
    aliases: { q: 'quiet', v: 'verbose' },
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
      'Reverses updates, in the order given, by the same protocol that applied them.',
      [0, 4, 5, 64, 69, 70],
      ['sudo ksplice undo cve_2026_53249'],
    ),
  },
});
