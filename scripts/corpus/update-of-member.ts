/** The update that was made of a file of the corpus, and what the later stages want to know of it. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { VMLINUX } from '../../src/kernel/symbol-scope.ts';
import { readUpdateFile } from '../../src/update/read-update.ts';
import type { LivepatchReason } from '../../src/update/trampoline-site.ts';
import type { UpdateUnit } from '../../src/update/update.ts';
import type { StageContext } from './stage.ts';

type InDirectory = Pick<StageContext, 'directory'>;

export interface UpdateFacts {
  readonly id: string;
  /** Modules that it changes code of. */
  readonly modules: readonly string[];
  /** Its module stays loaded when it is undone. */
  readonly staysResident: boolean;
  /** The functions that a jump cannot be written into, and what is in its way. */
  readonly needLivepatch: ReadonlyMap<string, LivepatchReason>;
  /** Everything in it that a message may name. */
  readonly names: readonly string[];
}

/** The part of an update that they are taken from. */
interface FactsSource {
  readonly id: string;
  readonly units: readonly Pick<
    UpdateUnit,
    'target' | 'functions' | 'newFunctions' | 'references' | 'escapes'
  >[];
}

export function updateFile({ directory }: InDirectory): string {
  return path.join(directory, 'update.ksplice');
}

/** SHA-256 of the update, hexadecimal; `none` if there is none any more. */
export async function updateHash(context: InDirectory): Promise<string> {
  const bytes = await readFile(updateFile(context)).catch(() => undefined);
  return bytes === undefined ? 'none' : createHash('sha256').update(bytes).digest('hex');
}

/** Throws UsageError, FormatError. */
export function readUpdateFacts(context: InDirectory): UpdateFacts {
  return factsOf(readUpdateFile(updateFile(context)));
}

export function factsOf({ id, units }: FactsSource): UpdateFacts {
  const functions = units.flatMap((unit) => unit.functions);
  const targets = [...new Set(units.map(({ target }) => target))];
  return {
    id,
    modules: targets.filter((target) => target !== VMLINUX),
    staysResident: units.some(({ escapes }) => escapes.escapes),
    needLivepatch: new Map(
      functions.flatMap(({ preName, needsLivepatch }) =>
        needsLivepatch === null ? [] : [[preName, needsLivepatch] as const],
      ),
    ),
    names: [
      id,
      ...targets,
      ...functions.flatMap(({ name, preName }) => [name, preName]),
      ...units.flatMap(({ newFunctions, references }) => [
        ...newFunctions,
        ...references.map(({ preName }) => preName),
      ]),
    ],
  };
}
