import { mkdir, realpath, rm } from 'node:fs/promises';
import path from 'node:path';
import { refuseOddPath } from './source-tree.ts';

/** An empty directory `name` in `parent`; its path has no symbolic link in it. */
export async function makeDirectory(parent: string, name: string): Promise<string> {
  await mkdir(parent, { recursive: true });
  const directory = path.join(await realpath(parent), name);
  refuseOddPath(directory);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory);
  return directory;
}
