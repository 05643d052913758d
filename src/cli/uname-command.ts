import { buildCommand, type Command } from '@stricli/core';
import { type CliContext, commonAliases, commonFlags, describeCommand, lazily } from './command.ts';
import type { CommonFlags } from './session.ts';

export const unameCommand: Command<CliContext> = buildCommand<CommonFlags, [], CliContext>({
  loader: lazily(async () => (await import('./uname.ts')).uname),
  parameters: {
    flags: { ...commonFlags },
    aliases: commonAliases,
  },
  docs: {
    brief: 'Print the effective version of the running kernel',
    fullDescription: describeCommand(
      'Prints which kernel really runs: the version of the package that booted, and the vulnerabilities that applied updates\nfix (or the IDs of the updates, where they name none). `uname -r` does not change.',
      [0, 64, 69, 70],
      ['ksplice uname', 'ksplice uname --json'],
    ),
  },
});
