/** Updates of a given number of functions, each changed by one instruction. */
import { readFile } from 'node:fs/promises';
import { cachedUpdate } from '../scripts/cached-update.ts';
import { readObject } from '../src/elf/read-object.ts';
import { readUpdate } from '../src/update/read-update.ts';
import { changeFunctions } from './change-functions.ts';

export interface CountedUpdate {
  readonly id: string;
  readonly file: string;
  /** Replaced functions: exactly as many as were asked for. */
  readonly functions: number;
  /** Of their old bodies, cold parts included: what is compared inside the stop. */
  readonly bytes: number;
  readonly fileBytes: number;
}

export interface CountedUpdateOptions {
  readonly source: string;
  readonly kernel: readonly string[];
  readonly cacheDir: string;
  readonly onProgress: (line: string) => void;
}

/** Updates that are made, before we give up. */
const TRIES = 24;

/** Functions that a refusal names. */
function namedIn(refusal: string): readonly string[] {
  return [...refusal.matchAll(/"symbol":\s*"([^"]+)"/g)].map(([, name = '']) => name.replace(/\..*$/, ''));
}

interface Measured extends CountedUpdate {
  /** Functions that only the kernel's livepatch could replace: apply refuses the update for them. */
  readonly needLivepatch: readonly string[];
}

async function measured(id: string, file: string): Promise<Measured> {
  const contents = await readFile(file);
  const { units } = readUpdate(contents, file);
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
  return { id, file, functions, bytes, fileBytes: contents.length, needLivepatch };
}

/**
 * How many functions of the source to change, so that as many as wanted are replaced. The numbers differ: a function that is inlined
 * is gone, and its callers are replaced instead.
 */
export class Aim {
  readonly #wanted: number;
  /** Changes that were too few, and too many. */
  #below = 0;
  #above = Number.POSITIVE_INFINITY;
  #changes: number;

  constructor(wanted: number) {
    this.#wanted = wanted;
    this.#changes = wanted;
  }

  get changes(): number {
    return this.#changes;
  }

  /**
   * Takes in what the last try gave; true if its last function has to be left alone: with it there are too many, without it too few.
   */
  missed(replaced: number): boolean {
    if (replaced < this.#wanted) this.#below = this.#changes;
    else this.#above = this.#changes;
    const isStuck = this.#above === this.#below + 1;
    if (isStuck) this.#above = Number.POSITIVE_INFINITY;
    const rate = replaced === 0 ? 1 : this.#changes / replaced;
    const next = Math.round(this.#changes + (this.#wanted - replaced) * rate);
    this.#changes = isStuck ? this.#below + 1 : Math.min(Math.max(next, this.#below + 1), this.#above - 1);
    return isStuck;
  }

  /** Functions in the middle were left alone: what was learnt of numbers is of other patches. */
  forget(): void {
    this.#below = 0;
    this.#above = Number.POSITIVE_INFINITY;
  }
}

/** Throws what create throws, and an Error if no patch gives that number. */
export async function countedUpdate(count: number, options: CountedUpdateOptions): Promise<CountedUpdate> {
  const id = `bench_${count}`;
  const leftAlone = new Set<string>();
  const aim = new Aim(count);
  for (let tries = 0; tries < TRIES; tries += 1) {
    const files = await changeFunctions(options.source, aim.changes, leftAlone);
    const patch = files.map((file) => file.patch).join('');
    const made = await cachedUpdate({ ...options, id, patch });
    const update = 'file' in made ? await measured(id, made.file) : undefined;
    if (update?.needLivepatch.length === 0) {
      options.onProgress(`${id}: ${aim.changes} changed, ${update.functions} replaced`);
      if (update.functions === count) return update;
      if (aim.missed(update.functions)) leftAlone.add(files.at(-1)?.functions.at(-1) ?? '');
      continue;
    }
    const names = 'refusal' in made ? namedIn(made.refusal) : (update?.needLivepatch ?? []);
    if (names.length === 0) throw new Error(`${id}: refused: ${'refusal' in made ? made.refusal : ''}`);
    options.onProgress(`${id}: without ${names.join(', ')}`);
    for (const name of names) leftAlone.add(name);
    aim.forget();
  }
  throw new Error(`${id}: no patch of ${TRIES} replaces ${count} functions`);
}
