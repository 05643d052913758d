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

export type InspectFlags = CommonFlags & {
  readonly html?: string;
  readonly image?: string;
  readonly modules?: string;
  readonly running?: boolean;
};

export const inspectCommand: Command<CliContext> = buildCommand<InspectFlags, [string], CliContext>({
  loader: lazily(async () => (await import('./inspect.ts')).inspect),
  parameters: {
    flags: {
      html: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'OUT',
        brief: 'Write a page for a browser to this file: one file, which needs no network',
      },
      image: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'VMLINUZ',
        brief: 'Check it against the kernel in this file, too, as `ksplice check` does',
      },
      modules: modulesFlag,
      running: {
        kind: 'boolean',
        optional: true,
        withNegated: false,
        brief: 'Check it against the running kernel, too, and show what is in its memory',
      },
      ...commonFlags,
    },
    aliases: commonAliases,
    positional: updateFile,
  },
  docs: {
    brief: 'Show what an update changes, function by function',
    fullDescription: describeCommand(
      'Shows what an update does, for whoever has to approve it: the patch, the code of each replaced function before and\nafter, why it is replaced, what is new, what was passed over, and every symbol that it needs. Changes nothing.',
      [0, 2, 4, 64, 65, 69, 70],
      [
        'ksplice inspect fix.ksplice | less',
        'ksplice inspect fix.ksplice --html fix.html --image /boot/vmlinuz-6.1.0-47-cloud-amd64',
      ],
    ),
  },
});
