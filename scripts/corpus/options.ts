import { UsageError } from '../../src/diagnostics/error.ts';
import { numberFlag, readFlags } from '../command-line.ts';
import { globPattern } from './glob.ts';

/** In this order; each works on what the one before it left. */
export const STAGE_NAMES = ['create', 'check', 'apply'] as const;
export type StageName = (typeof STAGE_NAMES)[number];

export const USAGE = `usage: npm run corpus -- [--stage NAME]... [--only GLOB]... [--limit N] [--jobs N] [--guests N]
                         [--again] [--list]

Takes every C file that Debian's kernel update changes, one by one, and makes an update of it (create), checks that with
the kernel at rest (check), applies it in a guest and undoes it (apply). What came of it is written to docs/coverage.md.
What was done before, with the same program and the same patch, is not done again.

  --stage NAME create, check or apply; repeat it for more; all unless told. A stage works on what the one before left
  --only GLOB  files that match, such as 'net/**' or 'fs/*/inode.c'; repeat it for more. The table in
               docs/coverage.md is only written when all files are taken, and each has come to its end
  --limit N    the first N of them
  --jobs N     files at the same time, in create and check; 2 unless told
  --guests N   guests at the same time, each with 2 processors; 1 unless told
  --again      whatever was done before
  --list       print the files and what is recorded of them; make nothing

example: npm run corpus -- --only 'net/ipv4/*.c' --limit 5
`;

export interface CorpusOptions {
  /** Stages to be run. */
  readonly stages: ReadonlySet<StageName>;
  readonly only: readonly RegExp[];
  readonly limit: number;
  readonly jobs: number;
  readonly guests: number;
  readonly again: boolean;
  readonly list: boolean;
}

/** Undefined if help is asked for. Throws UsageError. */
export function parseOptions(argv: readonly string[]): CorpusOptions | undefined {
  const values = readFlags(argv, {
    stage: { type: 'string', multiple: true },
    only: { type: 'string', multiple: true },
    limit: { type: 'string' },
    jobs: { type: 'string' },
    guests: { type: 'string' },
    again: { type: 'boolean' },
    list: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  });
  if (values.help === true) {
    return undefined;
  }
  return {
    stages: new Set(values.stage?.map(stageName) ?? STAGE_NAMES),
    only: (values.only ?? []).map(globPattern),
    limit: numberFlag('--limit', values.limit, Number.POSITIVE_INFINITY),
    jobs: numberFlag('--jobs', values.jobs, 2),
    guests: numberFlag('--guests', values.guests, 1, 64),
    again: values.again ?? false,
    list: values.list ?? false,
  };
}

function stageName(name: string): StageName {
  const found = STAGE_NAMES.find((each) => each === name);
  if (found === undefined) {
    throw new UsageError('usage', `--stage ${name}: expected ${STAGE_NAMES.join(', ')}`);
  }
  return found;
}
