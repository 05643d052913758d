import { parseArgs } from 'node:util';
import { UsageError } from '../src/diagnostics/error.ts';
import { CREATE_PARTS, type CreatePart } from './create.ts';

export const USAGE = `usage: npm run bench -- [PART]... [--again]

  cold     create of a one-file patch, with the packages there and nothing else
  warm     the same with the kernel's tree prepared; and once more with the unit known
  single   20 units, one create for each
  hundred  100 units, one create for all
  create   these four
  guest    apply, undo and the stop of all CPUs, in a guest
  stop     the stop of all CPUs by number of functions and of threads, as a table
  work     what is done inside it, in instructions of the guest
  memory   the kernel memory that an applied update holds
  start    the start of the program beside Node's own, by node and as the single-file executable
  call     a call of a replaced function beside livepatch's, in instructions

All of it unless told. What create was measured to take with the same program is not measured again, but for --again.
`;

export interface BenchOptions {
  readonly create: readonly CreatePart[];
  readonly guest: boolean;
  readonly stop: boolean;
  readonly work: boolean;
  readonly memory: boolean;
  readonly call: boolean;
  readonly start: boolean;
  readonly again: boolean;
}

/** Undefined if help is asked for. Throws UsageError. */
export function parseOptions(argv: readonly string[]): BenchOptions | undefined {
  const { values, positionals } = readArguments(argv);
  if (values.help === true) return undefined;
  const known: readonly string[] = [
    ...CREATE_PARTS,
    'create',
    'guest',
    'stop',
    'work',
    'memory',
    'call',
    'start',
  ];
  const unknown = positionals.find((one) => !known.includes(one));
  if (unknown !== undefined) {
    throw new UsageError('usage', `${unknown}: no such part`, { hint: `there are ${known.join(', ')}` });
  }
  const isWanted = (part: string): boolean => positionals.length === 0 || positionals.includes(part);
  return {
    create: CREATE_PARTS.filter((part) => isWanted('create') || isWanted(part)),
    guest: isWanted('guest'),
    stop: isWanted('stop'),
    work: isWanted('work'),
    memory: isWanted('memory'),
    call: isWanted('call'),
    start: isWanted('start'),
    again: values.again ?? false,
  };
}

function readArguments(argv: readonly string[]): {
  readonly values: { readonly help?: boolean | undefined; readonly again?: boolean | undefined };
  readonly positionals: readonly string[];
} {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { again: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    });
  } catch (cause) {
    throw new UsageError('usage', cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
