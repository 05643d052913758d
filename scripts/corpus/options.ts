import { parseArgs } from 'node:util';
import { UsageError } from '../../src/diagnostics/error.ts';
import { globPattern } from './glob.ts';

export const USAGE = `usage: npm run corpus -- [--only GLOB]... [--limit N] [--jobs N] [--again] [--list]

Makes an update of every C file that Debian's kernel update changes, one by one, and writes what came of it to
docs/coverage.md. What was done before, with the same program and the same patch, is not done again.

  --only GLOB  files that match, such as 'net/**' or 'fs/*/inode.c'; repeat it for more. The table in
               docs/coverage.md is only written when all files are taken
  --limit N    the first N of them
  --jobs N     files at the same time; 2 unless told
  --again      whatever was done before
  --list       print the files and what is recorded of them; make nothing

example: npm run corpus -- --only 'net/ipv4/*.c' --limit 5
`;

export interface CorpusOptions {
  readonly only: readonly RegExp[];
  readonly limit: number;
  readonly jobs: number;
  readonly again: boolean;
  readonly list: boolean;
}

/** Undefined if help is asked for. Throws UsageError. */
export function parseOptions(argv: readonly string[]): CorpusOptions | undefined {
  const options = {
    only: { type: 'string', multiple: true },
    limit: { type: 'string' },
    jobs: { type: 'string' },
    again: { type: 'boolean' },
    list: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  } as const;
  let values: ReturnType<typeof parseArgs<{ options: typeof options }>>['values'];
  try {
    ({ values } = parseArgs({ args: [...argv], options, allowPositionals: false }));
  } catch (cause) {
    throw new UsageError('usage', cause instanceof Error ? cause.message : String(cause), { cause });
  }
  if (values.help === true) {
    return undefined;
  }
  return {
    only: (values.only ?? []).map(globPattern),
    limit: values.limit === undefined ? Number.POSITIVE_INFINITY : numberOf('--limit', values.limit),
    jobs: values.jobs === undefined ? 2 : numberOf('--jobs', values.jobs),
    again: values.again ?? false,
    list: values.list ?? false,
  };
}

function numberOf(flag: string, text: string): number {
  if (!/^[1-9][0-9]{0,4}$/.test(text)) {
    throw new UsageError('usage', `${flag} ${text}: expected a number from 1 to 99999`);
  }
  return Number(text);
}
