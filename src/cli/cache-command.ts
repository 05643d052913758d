import { buildCommand, buildRouteMap, type Command, type RouteMap } from '@stricli/core';
import { type CliContext, commonAliases, commonFlags, describeCommand, lazily, text } from './command.ts';
import type { CommonFlags } from './session.ts';

export type CachePruneFlags = CommonFlags & {
  readonly 'older-than'?: number;
  readonly kernel?: string;
  readonly all?: boolean;
  readonly 'dry-run'?: boolean;
};

function parseDays(input: string): number {
  if (!/^[0-9]{1,5}$/.test(input)) {
    throw new RangeError('expected a number of days');
  }
  return Number(input);
}

const listCommand: Command<CliContext> = buildCommand<CommonFlags, [], CliContext>({
  loader: lazily(async () => (await import('./cache.ts')).listCache),
  parameters: {
    flags: { ...commonFlags },
    aliases: commonAliases,
  },
  docs: {
    brief: 'List what the cache holds',
    fullDescription: describeCommand(
      'Lists what the cache ($XDG_CACHE_HOME/ksplice) holds: packages, source trees, kernels, prepared trees, what killed runs\nhave left; each with its size, and when it was last used.',
      [0, 64, 70],
      ['ksplice cache list', 'ksplice cache --json'],
    ),
  },
});

const pruneCommand: Command<CliContext> = buildCommand<CachePruneFlags, [], CliContext>({
  loader: lazily(async () => (await import('./cache.ts')).prune),
  parameters: {
    flags: {
      'older-than': {
        kind: 'parsed',
        parse: parseDays,
        optional: true,
        placeholder: 'DAYS',
        brief: 'Remove what was not used for so many days',
      },
      kernel: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'RELEASE',
        brief: 'Remove what serves this kernel only, as in uname -r',
      },
      all: { kind: 'boolean', optional: true, withNegated: false, brief: 'Remove everything' },
      'dry-run': {
        kind: 'boolean',
        optional: true,
        withNegated: false,
        brief: 'Only say what would be removed',
      },
      ...commonFlags,
    },
    aliases: commonAliases,
  },
  docs: {
    brief: 'Remove from the cache what is not used',
    fullDescription: describeCommand(
      'Removes from the cache what killed runs have left and, with --older-than, --kernel (both: what is both) or --all, what\nis whole. What is removed is got again when it is needed. While another ksplice uses the cache, nothing is removed.',
      [0, 5, 64, 70],
      ['ksplice cache prune --older-than 30'],
    ),
  },
});

export const cacheCommands: RouteMap<CliContext> = buildRouteMap<'list' | 'prune', CliContext>({
  routes: { list: listCommand, prune: pruneCommand },
  defaultCommand: 'list',
  docs: { brief: 'List what is kept of kernels, and remove it' },
});
