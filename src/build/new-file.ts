import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Patch, PatchFile } from './patch/model.ts';

/** Writes a file that a patch brings into a tree: patch(1) gets to see changes only. */
export async function writeNewFile(file: PatchFile, tree: string): Promise<void> {
  const text = file.hunks
    .flatMap((hunk) => hunk.lines)
    .filter((line) => line.kind !== '-')
    .map((line) => `${line.text}${line.noNewline ? '' : '\n'}`)
    .join('');
  await mkdir(path.dirname(path.join(tree, file.path)), { recursive: true });
  await writeFile(path.join(tree, file.path), Buffer.from(text, 'latin1'));
}

/** Writes all files that the patches bring. */
export async function writeNewFiles(patches: readonly Patch[], tree: string): Promise<void> {
  for (const file of patches.flatMap((patch) => patch.files)) {
    if (file.kind === 'new') await writeNewFile(file, tree);
  }
}
