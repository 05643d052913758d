/**
 * What kbuild answered about units, kept beside the tree that it was asked in: `BUILD/.ksplice/units/fs/pipe.c.json`.
 * It holds as long as the prepared tree does, whose key stands for all that the answer depends on.
 */
import { mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { writeWhole } from '../process/write-whole.ts';

export interface KnownUnit {
  /** The line of the `.cmd` file, `cmd_fs/pipe.o := gcc ...`, in make's notation; undefined for an object in no list. */
  readonly command: string | undefined;
  /** As the Makefiles call it; only for a unit from assembly. */
  readonly module: string | undefined;
}

const EXTENSION = '.json';

function folderOf(buildDir: string): string {
  return path.join(buildDir, '.ksplice', 'units');
}

function fileOf(buildDir: string, source: string): string {
  return path.join(folderOf(buildDir), `${source}${EXTENSION}`);
}

/** Undefined if kbuild was not asked about the source (a path in the tree) yet. */
export async function readKnownUnit(buildDir: string, source: string): Promise<KnownUnit | undefined> {
  const text = await readFile(fileOf(buildDir, source), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const value: unknown = JSON.parse(text);
  const field = (name: 'command' | 'module'): string | undefined => {
    const found: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
    return typeof found === 'string' ? found : undefined;
  };
  return { command: field('command'), module: field('module') };
}

export async function writeKnownUnit(buildDir: string, source: string, unit: KnownUnit): Promise<void> {
  const file = fileOf(buildDir, source);
  await mkdir(path.dirname(file), { recursive: true });
  await writeWhole(file, `${JSON.stringify(unit)}\n`);
}

/** Sources that kbuild was asked about, in order. */
export async function knownSources(buildDir: string): Promise<readonly string[]> {
  const names = await readdir(folderOf(buildDir), { recursive: true });
  return names
    .filter((name) => name.endsWith(EXTENSION))
    .map((name) => name.slice(0, -EXTENSION.length))
    .toSorted();
}
