import { numberFlag, readFlags } from '../command-line.ts';
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
  const values = readFlags(argv, {
    only: { type: 'string', multiple: true },
    limit: { type: 'string' },
    jobs: { type: 'string' },
    again: { type: 'boolean' },
    list: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  });
  if (values.help === true) {
    return undefined;
  }
  return {
    only: (values.only ?? []).map(globPattern),
    limit: numberFlag('--limit', values.limit, Number.POSITIVE_INFINITY),
    jobs: numberFlag('--jobs', values.jobs, 2),
    again: values.again ?? false,
    list: values.list ?? false,
  };
}
