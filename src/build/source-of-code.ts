/**
 * Where the code of a compiled unit is from, by the lines of its source as it is: for people who ask why a function is
 * replaced. Where numbers of lines were kept from changing (line-numbers.ts) the object that is used does not tell, since one
 * number may be of two lines; then the unit is compiled once more without that, and nothing but its lines is taken.
 */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { FormatError, MissingError } from '../diagnostics/error.ts';
import { SHF_EXECINSTR } from '../elf/constants.ts';
import { readObject } from '../elf/read-object.ts';
import type { SourceFunction } from '../elf/source-functions.ts';
import type { LayoutPool } from '../elf/type-layouts.ts';
import type { CompileCommand } from './compile-command.ts';
import { compileUnit, sectionFlags, type UnitObject } from './compile-unit.ts';
import { type ChangedLines, changesOf } from './line-numbers.ts';
import type { PreparedTree } from './tree.ts';

/** An object with the same code in the same places, and a line table. */
export interface SourceOfObject {
  readonly object: Uint8Array;
  /** Where its functions are defined, inlined ones too. */
  readonly functions: readonly SourceFunction[];
}

/** The lines that a patch changes in a file. */
export interface ChangedFile {
  readonly path: string;
  /** Of the file before the patch: those that go, or become others. */
  readonly removed: readonly number[];
  /** Of the file after it: those that are new, or have become others. */
  readonly added: readonly number[];
}

function range(from: number, end: number): readonly number[] {
  return Array.from({ length: Math.max(end - from, 0) }, (_, index) => from + index);
}

/** From what diff(1) said of a file. */
export function changedFile(name: string, changes: readonly ChangedLines[]): ChangedFile {
  return {
    path: name,
    removed: changes.flatMap(({ firstBefore, nextBefore }) => range(firstBefore, nextBefore)),
    added: changes.flatMap(({ firstAfter, nextAfter }) => range(firstAfter, nextAfter)),
  };
}

/** What differs in the C files and headers that both trees have. */
export async function findChangedFiles(
  before: string,
  after: string,
  names: readonly string[],
): Promise<readonly ChangedFile[]> {
  const inBoth = names.filter(
    (name) => /\.[ch]$/.test(name) && [before, after].every((tree) => existsSync(path.join(tree, name))),
  );
  const found: ChangedFile[] = [];
  for (const name of inBoth) found.push(changedFile(name, await changesOf(before, after, name)));
  return found;
}

export interface NumberedObject extends UnitObject {
  /** Whether lines have the numbers of the original. */
  readonly isNumbered: boolean;
}

export interface UnitToExplain {
  readonly tree: PreparedTree;
  readonly unit: { readonly command: CompileCommand; readonly source: string };
  readonly pre: NumberedObject;
  readonly post: NumberedObject;
  /** The trees with both sources as they are. */
  readonly roots: { readonly pre: string; readonly post: string };
  /** A directory for objects. */
  readonly outputs: string;
  readonly pool: LayoutPool;
  readonly signal: AbortSignal | undefined;
}

/** Undefined if both are the same, so that nobody will ask; a side undefined if it cannot be told. */
export async function sourcesOfUnit(
  unit: UnitToExplain,
): Promise<Readonly<Record<Side, SourceOfObject | undefined>> | undefined> {
  if (Buffer.compare(unit.pre.bytes, unit.post.bytes) === 0) return undefined;
  return { pre: await sourceOf(unit, 'pre'), post: await sourceOf(unit, 'post') };
}

type Side = 'pre' | 'post';

async function sourceOf(
  { tree, unit, roots, outputs, pool, signal, ...objects }: UnitToExplain,
  side: Side,
): Promise<SourceOfObject | undefined> {
  const { bytes, functions, isNumbered } = objects[side];
  if (!isNumbered) return { object: bytes, functions };
  const output = path.join(outputs, `${side}-lines`, unit.source.replace(/\.c$/, ''));
  await mkdir(path.dirname(output), { recursive: true });
  try {
    const build = { command: unit.command, side, output, flags: sectionFlags, types: pool };
    const again = await compileUnit(tree, { ...build, root: roots[side] }, signal);
    const isSame = codeLayout(bytes) === codeLayout(again.bytes);
    return isSame ? { object: again.bytes, functions: again.functions } : undefined;
  } catch (error) {
    // Only the directives made it compile: the update is as good without an answer.
    const isRefused =
      (error instanceof FormatError && error.code === 'compile_failed') ||
      (error instanceof MissingError && error.code === 'command_failed');
    if (isRefused) return undefined;
    throw error;
  }
}

/** Where the sections of code are and how large; equal where every function has its place. */
function codeLayout(object: Uint8Array): string {
  return readObject(object, 'post')
    .sections.map(({ name, size, flags }) => ((flags & SHF_EXECINSTR) === 0 ? '' : `${name} ${size}`))
    .join();
}
