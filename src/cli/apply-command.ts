import { buildCommand, type Command } from '@stricli/core';
import { ENGINES, type Engine } from '../live/engine.ts';
import {
  type CliContext,
  commonAliases,
  commonFlags,
  debugFlag,
  describeCommand,
  lazily,
  updateFiles,
  waitFlag,
} from './command.ts';
import type { CommonFlags } from './session.ts';

export type ApplyFlags = CommonFlags & {
  readonly debug?: boolean;
  readonly partial?: boolean;
  readonly engine?: Engine;
  readonly wait?: number;
};

export const applyCommand: Command<CliContext> = buildCommand<ApplyFlags, string[], CliContext>({
  loader: lazily(async () => (await import('./apply.ts')).apply),
  parameters: {
    flags: {
      partial: {
        kind: 'boolean',
        optional: true,
        withNegated: false,
        brief:
          'Go on without modules that are not loaded, and have modprobe load the fixed ones (made by create --build-modules)',
      },
      engine: {
        kind: 'enum',
        values: ENGINES,
        optional: true,
        brief:
          'What switches the kernel: jumps written while all CPUs are stopped, or its own livepatch [jump]',
      },
      wait: waitFlag,
      debug: debugFlag,
      ...commonFlags,
    },
    aliases: commonAliases,
    positional: updateFiles,
  },
  docs: {
    brief: 'Switch the running kernel over to updates',
    fullDescription: describeCommand(
      'Applies updates to the running kernel. Each is checked against the code in memory first; the switch itself is made by\nthe core while all CPUs are stopped: of all of them in one stop, or of none. One on top of another comes after it.\nWhat is applied already is left alone. With --engine livepatch the livepatch of the kernel switches one at a time, task by task,\nas far as it can (docs/engines.md).',
      [0, 2, 4, 5, 64, 65, 69, 70],
      [
        'sudo ksplice apply cve_2026_53249.ksplice',
        'sudo ksplice apply --partial cve_2026_53249.ksplice',
        'sudo ksplice apply --engine livepatch --wait 120 cve_2026_53249.ksplice',
      ],
    ),
  },
});
