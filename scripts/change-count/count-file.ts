/**
 * What one file of the corpus changes in objects. It is kept beside what the corpus keeps of the file, with a hash of
 * the patch and of the programs here that found it, so that the count can be made again in seconds.
 */
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import * as v from 'valibot';
import { type ChangedSection, changedSections } from './changed-sections.ts';
import { compileBoth, type KernelTree, type UnitCommand } from './compile-both.ts';
import { readObject } from './read-object.ts';
import { changedStructs, readStructs } from './struct-layouts.ts';

const changeSchema = v.object({
  /** Of the patch, and of the programs here. */
  key: v.string(),
  sections: v.array(
    v.object({ name: v.string(), change: v.picklist(['new', 'removed', 'resized', 'contents']) }),
  ),
  /** Structs with another layout; null if they were not looked at. */
  structs: v.nullable(v.array(v.string())),
  /** What the compiler said, if it refused the patched file. */
  error: v.nullable(v.string()),
});

export type ObjectChange = v.InferOutput<typeof changeSchema>;

const PROGRAMS = [
  'changed-sections.ts',
  'compile-both.ts',
  'count-file.ts',
  'read-object.ts',
  'struct-layouts.ts',
];

export interface CountFileOptions {
  /** Folder of the file in the corpus. */
  readonly directory: string;
  /** To compile in. */
  readonly work: string;
  readonly wantStructs: boolean;
}

export async function countFile(
  tree: KernelTree,
  file: string,
  units: readonly UnitCommand[],
  options: CountFileOptions,
): Promise<ObjectChange> {
  const kept = path.join(options.directory, 'change-count.json');
  const key = await keyOf(options.directory);
  const known = parseKept(await readFile(kept, 'utf8').catch(() => ''));
  if (known?.key === key && (!options.wantStructs || known.structs !== null)) return known;
  const change = { key, ...(await findChange(tree, file, units, options)) };
  await writeFile(kept, `${JSON.stringify(change, null, 2)}\n`);
  return change;
}

async function findChange(
  tree: KernelTree,
  file: string,
  units: readonly UnitCommand[],
  { directory, work, wantStructs }: CountFileOptions,
): Promise<Omit<ObjectChange, 'key'>> {
  const change = { file, patch: path.join(directory, 'fix.patch') };
  const sections: ChangedSection[] = [];
  const structs: string[] = [];
  if (units.length === 0) throw new Error(`${file}: no unit is known that is compiled from it`);
  for (const unit of units) {
    const objects = await compileBoth(tree, unit, change, work, wantStructs ? ['-g'] : ['-g0']);
    if ('error' in objects) return { sections: [], structs: [], error: objects.error };
    const [pre, post] = [await readObject(objects.pre), await readObject(objects.post)];
    sections.push(...changedSections(pre, post));
    if (wantStructs) {
      structs.push(...changedStructs(await readStructs(objects.pre), await readStructs(objects.post)));
    }
  }
  return { sections, structs: wantStructs ? structs : null, error: null };
}

async function keyOf(directory: string): Promise<string> {
  const hash = createHash('sha256').update(await readFile(path.join(directory, 'fix.patch')));
  for (const program of PROGRAMS) hash.update(await readFile(path.join(import.meta.dirname, program)));
  return hash.digest('hex').slice(0, 16);
}

/** What was cut off in the middle, or written otherwise, is made again. */
function parseKept(text: string): ObjectChange | undefined {
  try {
    const parsed = v.safeParse(changeSchema, JSON.parse(text));
    return parsed.success ? parsed.output : undefined;
  } catch {
    return undefined;
  }
}
