import { buildCommand, type Command } from '@stricli/core';
import type { MatchMode } from '../match/match-unit.ts';
import { type CliContext, commonAliases, commonFlags, describeCommand, lazily, text } from './command.ts';
import type { CommonFlags } from './session.ts';
import { signingFlags } from './signing-flags.ts';

export type CreateFlags = CommonFlags & {
  readonly patch?: readonly string[];
  readonly git?: string;
  readonly diffext?: string;
  readonly prebuild?: boolean;
  readonly cve?: readonly string[];
  readonly kernel?: string;
  readonly source?: string;
  readonly config?: string;
  readonly image?: string;
  readonly output?: string;
  readonly id?: string;
  readonly on?: readonly string[];
  readonly description?: string;
  readonly jobs?: number;
  readonly match?: MatchMode;
  readonly 'build-modules'?: boolean;
  readonly 'max-units'?: number;
  readonly sign?: string;
  readonly serial?: number;
  readonly 'passphrase-file'?: string;
};

function parseJobs(input: string): number {
  if (!/^[1-9][0-9]{0,3}$/.test(input)) {
    throw new RangeError('expected a number from 1 to 9999');
  }
  return Number(input);
}

export const createCommand: Command<CliContext> = buildCommand<CreateFlags, [], CliContext>({
  loader: lazily(async () => (await import('./create.ts')).create),
  parameters: {
    flags: {
      patch: {
        kind: 'parsed',
        parse: text,
        variadic: true,
        optional: true,
        placeholder: 'FILE',
        brief: 'Source patch with -p1 paths; repeat it for more than one, in the order in which they apply',
      },
      git: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'COMMIT',
        brief: 'Instead of --patch: what this commit, or each of A..B, changes in the work tree of --source',
      },
      diffext: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'EXT',
        brief: 'Instead of --patch: what each FILE.EXT in the tree of --source changes in the FILE beside it',
      },
      prebuild: {
        kind: 'boolean',
        optional: true,
        withNegated: false,
        brief: 'Make no update: only get and prepare the kernel, so that its first update takes seconds',
      },
      kernel: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'RELEASE',
        brief:
          'Debian kernel to make it for, as in uname -r; its parts come from apt into the cache [the running one]',
      },
      source: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'DIR',
        brief: 'Source tree of the kernel, instead of --kernel; it is not written to',
      },
      config: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'FILE',
        brief: 'Configuration that the kernel of --source was built with (/boot/config-RELEASE)',
      },
      image: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'FILE',
        brief: 'Image of the kernel of --source (vmlinuz): tells its release and build exactly',
      },
      output: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'FILE',
        brief: 'Where to write the update [ID.ksplice here]',
      },
      id: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'ID',
        brief: 'Name of the update, 1 to 32 of a-z, 0-9 and _ [derived from the contents]',
      },
      on: {
        kind: 'parsed',
        parse: text,
        variadic: true,
        optional: true,
        placeholder: 'FILE',
        brief:
          'Update that will be applied already, on top of which this one goes: the patch is against the source with its patch; repeat it for more, from the lowest up',
      },
      description: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'TEXT',
        brief: 'One line that `ksplice view` shows [the subject of the patch]',
      },
      cve: {
        kind: 'parsed',
        parse: text,
        variadic: true,
        optional: true,
        placeholder: 'ID',
        brief:
          'Vulnerability that it fixes (CVE-YEAR-NUMBER), which `ksplice view` shows; repeat it for more',
      },
      match: {
        kind: 'enum',
        values: ['strict', 'tolerant'],
        optional: true,
        brief:
          'How it will be matched: as the distributor compiled, every byte, or function by function, for a kernel that is laid out in another way [strict]',
      },
      'build-modules': {
        kind: 'boolean',
        optional: true,
        withNegated: false,
        brief:
          'Carry each module that it changes as a whole, too, for `ksplice apply --partial` where it is not loaded',
      },
      'max-units': {
        kind: 'parsed',
        parse: parseJobs,
        optional: true,
        placeholder: 'N',
        brief: 'Most units to compile for a changed header [400]',
      },
      sign: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'KEYFILE',
        brief: 'Sign it with this private key (ksplice key generate)',
      },
      ...signingFlags,
      jobs: {
        kind: 'parsed',
        parse: parseJobs,
        optional: true,
        placeholder: 'N',
        brief: 'Compilations at the same time [number of CPUs]',
      },
      ...commonFlags,
    },
    aliases: { o: 'output', ...commonAliases },
  },
  docs: {
    brief: 'Make an update from a source patch',
    fullDescription: describeCommand(
      'Makes an update file from a source patch and the original source of a kernel. Only the units (object files)\nthat the patch affects are compiled, before and after; what differs becomes the replacement code. The source tree\nis not written to.',
      [0, 2, 3, 64, 65, 69, 70],
      [
        'ksplice create --patch fix.patch --kernel 6.1.0-47-cloud-amd64 --cve CVE-2026-53249',
        'ksplice create --git v6.1.174..v6.1.176 --source linux --config /boot/config-6.1.174',
        'ksplice create --diffext .new --source linux --config /boot/config-6.1.174',
        'ksplice create --patch second.patch --on first.ksplice --kernel 6.1.0-47-cloud-amd64',
        'ksplice create --patch fix.patch --sign release.key',
        'ksplice create --prebuild --kernel 6.1.0-47-cloud-amd64',
      ],
    ),
    customUsage: [
      '--patch FILE... [--kernel RELEASE] [-o FILE] [--on FILE...] [--id ID] [--description TEXT] [--cve ID...] [--match strict|tolerant] [--build-modules] [--max-units N] [--sign KEYFILE [--serial N] [--passphrase-file FILE]] [--jobs N] [--json] [-v]',
      '(--patch FILE... | --git COMMIT | --diffext EXT) --source DIR --config FILE [--image FILE] [-o FILE] [...]',
      '--prebuild [--kernel RELEASE | --source DIR --config FILE [--image FILE]] [--jobs N] [--json] [-v]',
    ],
  },
});
