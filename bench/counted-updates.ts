/** Updates of a given number of functions, each changed by one instruction. */
import { readFile } from 'node:fs/promises';
import { cachedUpdate } from '../scripts/cached-update.ts';
import { readObject } from '../src/elf/read-object.ts';
import { readUpdate } from '../src/update/read-update.ts';
import { changeFunctions } from './change-functions.ts';

export interface CountedUpdate {
  readonly id: string;
  readonly file: string;
  /** Replaced functions: about as many as were asked for. Callers of functions that are inlined come on top. */
  readonly functions: number;
  /** Of their old bodies, cold parts included: what is compared inside the stop. */
  readonly bytes: number;
}

export interface CountedUpdateOptions {
  readonly source: string;
  readonly kernel: readonly string[];
  readonly cacheDir: string;
  readonly onProgress: (line: string) => void;
}

/** A function that may not be changed is left alone, and another taken in its place; how often, before we give up. */
const TRIES = 6;

/** Functions that a refusal names. */
function namedIn(refusal: string): readonly string[] {
  return [...refusal.matchAll(/"symbol":\s*"([^"]+)"/g)].map(([, name = '']) => name.replace(/\..*$/, ''));
}

interface Measured extends CountedUpdate {
  /** Functions that only the kernel's livepatch could replace: apply refuses the update for them. */
  readonly needLivepatch: readonly string[];
}

async function measured(id: string, file: string): Promise<Measured> {
  const { units } = readUpdate(await readFile(file), file);
  const needLivepatch: string[] = [];
  let [functions, bytes] = [0, 0];
  for (const unit of units) {
    const sizes = new Map(readObject(unit.pre, unit.path).symbols.map(({ name, size }) => [name, size]));
    for (const { preName, needsLivepatch } of unit.functions) {
      functions += 1;
      bytes += (sizes.get(preName) ?? 0) + (sizes.get(`${preName}.cold`) ?? 0);
      if (needsLivepatch !== null) needLivepatch.push(preName);
    }
  }
  return { id, file, functions, bytes, needLivepatch };
}

/** Throws what create throws, and an Error if it refuses again and again. */
export async function countedUpdate(count: number, options: CountedUpdateOptions): Promise<CountedUpdate> {
  const id = `bench_${count}`;
  const refused = new Set<string>();
  for (let tries = 0; tries < TRIES; tries += 1) {
    const files = await changeFunctions(options.source, count, refused);
    const patch = files.map((file) => file.patch).join('');
    const made = await cachedUpdate({ ...options, id, patch });
    const update = 'file' in made ? await measured(id, made.file) : undefined;
    if (update?.needLivepatch.length === 0) return update;
    const names = 'refusal' in made ? namedIn(made.refusal) : (update?.needLivepatch ?? []);
    if (names.length === 0) throw new Error(`${id}: refused: ${'refusal' in made ? made.refusal : ''}`);
    options.onProgress(`without ${names.join(', ')}`);
    for (const name of names) refused.add(name);
  }
  throw new Error(`${id}: refused ${TRIES} times`);
}
