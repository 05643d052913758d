import { buildCommand, type Command } from '@stricli/core';
import {
  type CliContext,
  commonAliases,
  commonFlags,
  describeCommand,
  lazily,
  text,
  updateFiles,
} from './command.ts';
import type { CommonFlags } from './session.ts';

export const installCommand: Command<CliContext> = buildCommand<CommonFlags, string[], CliContext>({
  loader: lazily(async () => (await import('./install.ts')).install),
  parameters: {
    flags: { ...commonFlags },
    aliases: commonAliases,
    positional: updateFiles,
  },
  docs: {
    brief: 'Have updates applied whenever their kernel boots',
    fullDescription: describeCommand(
      'Keeps updates in /var/lib/ksplice, from where they are applied when the kernel that they were made for boots. Nothing is\napplied now: ksplice apply does that. An update that is on top of others is installed together with, or after, them.',
      [0, 2, 5, 64, 65, 69, 70],
      ['sudo ksplice install cve_2026_53249.ksplice', 'sudo ksplice apply cve_2026_53249.ksplice'],
    ),
  },
});

export type UninstallFlags = CommonFlags & {
  readonly kernel?: string;
};

export const uninstallCommand: Command<CliContext> = buildCommand<UninstallFlags, string[], CliContext>({
  loader: lazily(async () => (await import('./install.ts')).uninstall),
  parameters: {
    flags: {
      kernel: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'RELEASE',
        brief: 'Installed for all builds of this kernel [the build that is running]',
      },
      ...commonFlags,
    },
    aliases: commonAliases,
    positional: {
      kind: 'array',
      minimum: 1,
      parameter: {
        parse: text,
        placeholder: 'ID',
        brief: 'Update that is installed, as ksplice view names it',
      },
    },
  },
  docs: {
    brief: 'Have updates applied at boot no more',
    fullDescription: describeCommand(
      'Removes updates from /var/lib/ksplice. What is applied stays applied until it is undone, or the machine boots.',
      [0, 5, 64, 69, 70],
      [
        'sudo ksplice uninstall cve_2026_53249',
        'sudo ksplice uninstall --kernel 6.1.0-47-cloud-amd64 cve_2026_53249',
      ],
    ),
  },
});
