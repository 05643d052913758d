import { cpus } from 'node:os';
import { UsageError } from '../../src/diagnostics/error.ts';
import { numberFlag, readFlags } from '../command-line.ts';

export const USAGE = `usage: npm run match-kernel -- --dir DIR... [--running] [--figures] [--kernel RELEASE] [--jobs N] [--append TEXT]

Compiles every unit of whole directories, and matches each with a Debian kernel, byte by byte: with its image, and
with the same kernel as it runs in a guest. Exit status 1 if a unit does not match, or if the kernel has a function
there that no unit had.

  --dir DIR         net/ipv4, for instance, with all below; 'fs/*.c': without what is below; repeat it for more
  --running         boot the kernel too, and match all with its memory
  --figures         measure matching at rest: 1, 10, 100 and 1,000 of the units
  --kernel RELEASE  6.1.0-47-cloud-amd64 unless told; fetched by apt into the cache
  --jobs N          compilers at the same time; as many as there are processors unless told
  --append TEXT     goes to the end of the guest kernel's command line

example: npm run match-kernel -- --dir ipc --dir 'fs/*.c' --running
`;

export interface MatchKernelOptions {
  readonly directories: readonly string[];
  readonly release: string;
  readonly jobs: number;
  readonly running: boolean;
  readonly figures: boolean;
  readonly append: string;
}

/** Undefined if help is asked for. Throws UsageError. */
export function parseOptions(argv: readonly string[]): MatchKernelOptions | undefined {
  const values = readFlags(argv, {
    dir: { type: 'string', multiple: true },
    kernel: { type: 'string' },
    jobs: { type: 'string' },
    running: { type: 'boolean' },
    figures: { type: 'boolean' },
    append: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  });
  if (values.help === true) return undefined;
  const directories = values.dir ?? [];
  if (directories.length === 0) {
    throw new UsageError('usage', '--dir is missing', { hint: 'npm run match-kernel -- --help' });
  }
  for (const directory of directories) {
    // What else a shell would expand here, it has expanded before.
    if (!/^(?!\/)(?!.*\.\.)[\w./-]*\w\/?(?:\/\*(?:\.c)?)?$/.test(directory)) {
      throw new UsageError('usage', `--dir ${directory}: expected a directory below the source, or DIR/*.c`);
    }
  }
  if (values.append !== undefined && values.running !== true) {
    throw new UsageError('usage', '--append: only a kernel that is booted has a command line: --running');
  }
  return {
    directories,
    release: values.kernel ?? '6.1.0-47-cloud-amd64',
    jobs: numberFlag('--jobs', values.jobs, cpus().length),
    running: values.running ?? false,
    figures: values.figures ?? false,
    append: values.append ?? '',
  };
}
