import { buildCommand, type Command } from '@stricli/core';
import { type CliContext, commonAliases, commonFlags, describeCommand, lazily } from './command.ts';
import type { CommonFlags } from './session.ts';

const AIMS = ['apply', 'create'] as const;

export type DoctorFlags = CommonFlags & {
  readonly for?: (typeof AIMS)[number];
};

export const doctorCommand: Command<CliContext> = buildCommand<DoctorFlags, [], CliContext>({
  loader: lazily(async () => (await import('./doctor.ts')).doctor),
  parameters: {
    flags: {
      for: {
        kind: 'enum',
        values: AIMS,
        optional: true,
        brief: 'Look only at what this command needs [both]',
      },
      ...commonFlags,
    },
    aliases: commonAliases,
  },
  docs: {
    brief: 'Say what this machine lacks for making and for applying updates',
    fullDescription: describeCommand(
      'Looks at what create and apply need: tools, the compiler, free space; memory and symbols of the kernel, modules, lockdown;\nand names what may be in the way: kprobes, livepatches. Changes nothing.',
      [0, 64, 69, 70],
      ['ksplice doctor', 'ksplice doctor --for apply --json'],
    ),
  },
});
