import { buildCommand, type Command } from '@stricli/core';
import {
  type CliContext,
  commonAliases,
  commonFlags,
  describeCommand,
  lazily,
  modulesFlag,
  text,
  updateFile,
} from './command.ts';
import type { CommonFlags } from './session.ts';

export type CheckFlags = CommonFlags & {
  readonly image?: string;
  readonly modules?: string;
};

export const checkCommand: Command<CliContext> = buildCommand<CheckFlags, [string], CliContext>({
  loader: lazily(async () => (await import('./check.ts')).check),
  parameters: {
    flags: {
      image: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'VMLINUZ',
        brief: 'Check against the kernel in this file, instead of the running one',
      },
      modules: modulesFlag,
      ...commonFlags,
      verbose: {
        ...commonFlags.verbose,
        brief: 'Say of every symbol where it is and how that is known, and print every command that is run',
      },
    },
    aliases: commonAliases,
    positional: updateFile,
  },
  docs: {
    brief: 'Check whether an update fits a kernel, and change nothing',
    fullDescription: describeCommand(
      'Finds out everything that apply would before it changes anything: whether the code of every unit is what the kernel\nhas, byte for byte, and whether every symbol can be found. Against the running kernel this needs root; against one at\nrest only the files of its package.',
      [0, 2, 4, 64, 65, 69, 70],
      [
        'sudo ksplice check fix.ksplice',
        'ksplice check fix.ksplice --image /boot/vmlinuz-6.1.0-47-cloud-amd64 -v',
      ],
    ),
  },
});
