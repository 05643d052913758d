/**
 * The program that is measured, as it was when the run began.
 *
 * A run takes hours, and the checkout may be worked on meanwhile: `./ksplice` would build itself anew, and the table
 * would be of no version at all. So the program is built once into a folder named for its contents, with the sources of
 * the core and the headers for authors beside it, and every result notes that name. It is made from what the program is compiled to: a changed
 * comment or test makes no result obsolete.
 */
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { buildBundle, bundleFiles } from '../bundle.ts';

/** Folders that the program looks for beside itself. */
const BESIDE = ['core', 'include'] as const;

export interface FrozenTool {
  /** Hexadecimal; stands for the program, the core and the Node that runs them. */
  readonly id: string;
  /** The command without its arguments. */
  readonly argv: readonly [string, string];
}

/** Builds the checkout at `root` into `directory`/ID, if it is not there yet. */
export async function freezeTool(root: string, directory: string): Promise<FrozenTool> {
  await mkdir(directory, { recursive: true });
  const work = await mkdtemp(path.join(directory, '.building-'));
  try {
    const program = await buildBundle(path.join(work, 'ksplice.cjs'));
    for (const folder of BESIDE) {
      await cp(path.join(root, folder), path.join(work, folder), { recursive: true });
    }
    const id = await hashOf(program, work);
    const home = path.join(directory, id);
    await rename(work, home).catch((error: unknown) => {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      // The same program is there already.
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    });
    return { id, argv: [process.execPath, path.join(home, 'ksplice.cjs')] };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function hashOf(program: string, work: string): Promise<string> {
  const hash = createHash('sha256');
  // Two compilations of one program need not be the same bytes; the folder's name is a hash of the program itself.
  const [, part] = await bundleFiles(program);
  hash.update(path.dirname(part?.name ?? ''));
  const files: string[] = [];
  for (const folder of BESIDE) {
    const entries = await readdir(path.join(work, folder), { recursive: true, withFileTypes: true });
    files.push(
      ...entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name)),
    );
  }
  for (const file of files.toSorted()) {
    hash
      .update(`${path.relative(work, file)}\0`)
      .update(await readFile(file))
      .update('\0');
  }
  return hash.digest('hex').slice(0, 16);
}
