import { buildCommand, type Command } from '@stricli/core';
import {
  type CliContext,
  commonAliases,
  commonFlags,
  describeCommand,
  lazily,
  text,
  updateFile,
} from './command.ts';
import type { CommonFlags } from './session.ts';

export type DebFlags = CommonFlags & {
  readonly output?: string;
  readonly 'package-version'?: string;
  readonly maintainer?: string;
};

export const debCommand: Command<CliContext> = buildCommand<DebFlags, [string], CliContext>({
  loader: lazily(async () => (await import('./deb.ts')).deb),
  parameters: {
    flags: {
      output: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'FILE',
        brief: 'The package [NAME_VERSION_amd64.deb]',
      },
      'package-version': {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'VERSION',
        brief: 'Version of the package [the serial of the signature, or 1]',
      },
      maintainer: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'TEXT',
        brief: 'Who answers for it, as NAME <MAIL> [unnamed <unnamed@ksplice.invalid>]',
      },
      ...commonFlags,
    },
    aliases: { o: 'output', ...commonAliases },
    positional: updateFile,
  },
  docs: {
    brief: 'Make a Debian package of an update',
    fullDescription: describeCommand(
      "Wraps an update as a package for the machines that run exactly its kernel: it depends on that version of the kernel's\npackage, and on ksplice. Installing it installs and applies the update; removing it undoes and uninstalls it.",
      [0, 2, 64, 65, 69, 70],
      ['ksplice deb cve_2026_53249.ksplice'],
    ),
  },
});
