import { buildCommand, buildRouteMap, type Command, type RouteMap } from '@stricli/core';
import { type CliContext, commonAliases, commonFlags, describeCommand, lazily, text } from './command.ts';
import type { CommonFlags } from './session.ts';

export type DebianDiffFlags = {
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  readonly file?: readonly string[];
};

const sourcesCommand: Command<CliContext> = buildCommand<CommonFlags, [string], CliContext>({
  loader: lazily(async () => (await import('./debian-sources.ts')).sources),
  parameters: {
    flags: { ...commonFlags },
    aliases: commonAliases,
    positional: {
      kind: 'tuple',
      parameters: [{ parse: text, placeholder: 'RELEASE', brief: 'Debian kernel, as in uname -r' }],
    },
  },
  docs: {
    brief: 'Get source, config, headers, image and modules of a kernel',
    fullDescription: describeCommand(
      'Downloads the packages of a Debian kernel with apt, unpacks them in the cache ($XDG_CACHE_HOME/ksplice) and prints\nwhere its source, config, headers, image and modules are. Nothing is installed.',
      [0, 64, 69, 70],
      ['ksplice debian sources 6.1.0-47-cloud-amd64 --json'],
    ),
  },
});

const diffCommand: Command<CliContext> = buildCommand<DebianDiffFlags, [string, string], CliContext>({
  loader: lazily(async () => (await import('./debian-diff.ts')).diff),
  parameters: {
    flags: {
      file: {
        kind: 'parsed',
        parse: text,
        variadic: true,
        optional: true,
        placeholder: 'PATH',
        brief: 'Only this file of the source tree, or the files of this folder; repeat it for more [all]',
      },
      quiet: commonFlags.quiet,
      verbose: commonFlags.verbose,
    },
    aliases: commonAliases,
    positional: {
      kind: 'tuple',
      parameters: [
        { parse: text, placeholder: 'FROM', brief: 'Version of the linux source package, such as 6.1.170-3' },
        { parse: text, placeholder: 'TO', brief: 'Version to come to' },
      ],
    },
  },
  docs: {
    brief: 'Print the patch between two versions of the kernel package',
    fullDescription: describeCommand(
      'Prints the difference between two versions of the linux source package, as a patch with -p1 paths, whole or for some\nfiles.',
      [0, 64, 65, 69, 70],
      ['ksplice debian diff 6.1.170-3 6.1.176-1 --file net/ipv4/ip_options.c > fix.patch'],
    ),
  },
});

export const debianCommands: RouteMap<CliContext> = buildRouteMap<'sources' | 'diff', CliContext>({
  routes: { sources: sourcesCommand, diff: diffCommand },
  docs: { brief: 'Get kernels and their fixes from Debian' },
});
