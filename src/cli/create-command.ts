import { buildCommand, type Command } from '@stricli/core';
import { type CliContext, describeCommand, jsonFlag, lazily, text, verboseFlag } from './command.ts';
import type { CommonFlags } from './session.ts';

export type CreateFlags = CommonFlags & {
  readonly patch: readonly string[];
  readonly kernel?: string;
  readonly source?: string;
  readonly config?: string;
  readonly image?: string;
  readonly output?: string;
  readonly id?: string;
  readonly description?: string;
  readonly jobs?: number;
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
        placeholder: 'FILE',
        brief: 'Source patch with -p1 paths; repeat it for more than one, in the order in which they apply',
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
      description: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'TEXT',
        brief: 'One line that `ksplice view` shows [the subject of the patch]',
      },
      jobs: {
        kind: 'parsed',
        parse: parseJobs,
        optional: true,
        placeholder: 'N',
        brief: 'Compilations at the same time [number of CPUs]',
      },
      json: jsonFlag,
      verbose: verboseFlag,
    },
    aliases: { o: 'output', v: 'verbose' },
  },
  docs: {
    brief: 'Make an update from a source patch',
    fullDescription: describeCommand(
      'Makes an update file from a source patch and the original source of a kernel. Only the units (object files)\nthat the patch affects are compiled, before and after; what differs becomes the replacement code.',
      [0, 2, 3, 64, 65, 69, 70],
      ['ksplice create --patch fix.patch --kernel 6.1.0-47-cloud-amd64 --id cve_2026_53249'],
    ),
    customUsage: [
      '--patch FILE... [--kernel RELEASE] [-o FILE] [--id ID] [--description TEXT] [--jobs N] [--json] [-v]',
      '--patch FILE... --source DIR --config FILE [--image FILE] [-o FILE] [...]',
    ],
  },
});
