/** Updates that `ksplice create` makes for the test kernel, as files of a guest. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createTwoFilesPatch } from 'diff';
import { debianSources } from '../../../src/debian/debian-sources.ts';
import type { GuestFile } from '../vm/initramfs.ts';
import { TEST_RELEASE, testCacheDir } from '../vm/test-kernel.ts';
import { hostBundle, hostKsplice } from './host-cli.ts';

export interface Edit {
  readonly id: string;
  /** Relative to the tree. */
  readonly source: string;
  /** What stands in the source, once, and what is to stand there; nothing is replaced by what goes to the end. */
  readonly change?: readonly [string, string];
  readonly append?: string;
}

/** Where an update of this ID lies in a guest. */
export function madePath(id: string): string {
  return `/root/${id}.ksplice`;
}

/** An update on this machine, to be put into a guest. */
export interface MadeUpdate extends GuestFile {
  readonly from: string;
}

/** Makes the update of a patch, in `folder`. `more`: further arguments of `create`. */
export async function madeUpdate(
  folder: string,
  id: string,
  patch: string,
  more: readonly string[] = [],
): Promise<MadeUpdate> {
  const from = join(folder, `${id}.ksplice`);
  const create = ['create', '--patch', patch, '--kernel', TEST_RELEASE, '--id', id, ...more, '-o', from];
  const { exitCode, stderr } = await hostKsplice(await hostBundle(), create, folder);
  if (exitCode !== 0) throw new Error(`ksplice create: exit status ${exitCode}\n${stderr}`);
  return { path: madePath(id), from };
}

/** That of an edit. */
export async function editedUpdate(folder: string, edit: Edit): Promise<MadeUpdate> {
  const { id, source, change: [old, changed] = ['', ''], append = '' } = edit;
  const kernel = await debianSources(TEST_RELEASE, { cacheDir: testCacheDir() });
  const before = await readFile(join(kernel.source, source), 'utf8');
  if (old !== '' && before.split(old).length !== 2) throw new Error(`${source}: not one place for ${id}`);
  const after = `${before.replace(old, changed)}${append}`;
  const patch = join(folder, `${id}.patch`);
  await writeFile(patch, createTwoFilesPatch(`a/${source}`, `b/${source}`, before, after));
  return await madeUpdate(folder, id, patch);
}
