import { buildCommand, type Command } from '@stricli/core';
import { type CliContext, commonAliases, commonFlags, describeCommand, lazily, text } from './command.ts';
import type { CommonFlags } from './session.ts';

export type MetricsFlags = CommonFlags & {
  readonly output?: string;
};

export const metricsCommand: Command<CliContext> = buildCommand<MetricsFlags, [], CliContext>({
  loader: lazily(async () => (await import('./metrics.ts')).metrics),
  parameters: {
    flags: {
      output: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'FILE',
        brief: 'Write to this file, whole or not at all, instead of to standard output',
      },
      ...commonFlags,
    },
    aliases: { o: 'output', ...commonAliases },
  },
  docs: {
    brief: 'Print figures for monitoring',
    fullDescription: describeCommand(
      "Prints what is applied as metrics in the text format of Prometheus. With --output, into a file that the node exporter's\ntextfile collector picks up.",
      [0, 64, 69, 70],
      ['ksplice metrics', 'ksplice metrics -o /var/lib/prometheus/node-exporter/ksplice.prom'],
    ),
  },
});
