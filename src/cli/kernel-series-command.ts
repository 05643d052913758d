import { buildCommand, type Command } from '@stricli/core';
import { type CliContext, commonAliases, commonFlags, describeCommand, lazily, text } from './command.ts';
import type { CommonFlags } from './session.ts';

export type KernelSeriesFlags = CommonFlags & {
  readonly source: string;
  readonly output: string;
  readonly 'sign-off'?: string;
};

function parseSignOff(input: string): string {
  if (!/^[^<>\n]+ <[^<>\s]+@[^<>\s]+>$/.test(input)) {
    throw new SyntaxError("expected 'Name <address>'");
  }
  return input;
}

export const kernelSeriesCommand: Command<CliContext> = buildCommand<KernelSeriesFlags, [], CliContext>({
  loader: lazily(async () => (await import('./kernel-series.ts')).kernelSeries),
  parameters: {
    flags: {
      source: {
        kind: 'parsed',
        parse: text,
        placeholder: 'DIR',
        brief: 'Source tree of the kernel that is to carry the core; it is not written to',
      },
      output: {
        kind: 'parsed',
        parse: text,
        placeholder: 'DIR',
        brief: 'Where to write the patches: a directory that is empty, or not there yet',
      },
      'sign-off': {
        kind: 'parsed',
        parse: parseSignOff,
        optional: true,
        placeholder: 'WHO',
        brief: "Who sends and signs them off, 'Name <address>' [a placeholder]",
      },
      ...commonFlags,
    },
    aliases: { o: 'output', ...commonAliases },
  },
  docs: {
    brief: 'Write the patches that add the core to a kernel tree',
    fullDescription: describeCommand(
      'Writes a series of patches, as git sends them, that adds the core to the source of a kernel (CONFIG_KSPLICE, built in or\nas a module). On such a kernel apply loads no core of its own. The series is refused for a kernel in which the core could\nnot be right. SOURCE_DATE_EPOCH sets the date of the patches.',
      [0, 2, 64, 69, 70],
      ['ksplice kernel-series --source linux-6.1 -o series && git -C linux-6.1 am ../series/*.patch'],
    ),
  },
});
