import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addAuthorHeaders } from './author-headers.ts';

describe('headers for authors', () => {
  let directory: string;
  let mirror: string;
  const ours = path.resolve(import.meta.dirname, '..', '..', 'include');

  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'ksplice-headers-'));
    mirror = path.join(directory, 'mirror');
    await mkdir(path.join(mirror, 'fs'), { recursive: true });
    await mkdir(path.join(directory, 'empty'));
    await writeFile(path.join(mirror, 'fs', 'plain.c'), '#include <linux/fs.h>\n');
    await writeFile(
      path.join(mirror, 'fs', 'hooked.c'),
      '#include <linux/fs.h>\n#include <ksplice-patch.h>\n',
    );
  });

  afterAll(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  it('are not needed by a patch that includes none, wherever they are', async () => {
    expect(await addAuthorHeaders(mirror, ['fs/plain.c'], path.join(directory, 'absent'))).toEqual([]);
    expect(await readdir(mirror)).toEqual(['fs']);
  });

  it.each([
    ['absent', /includes <ksplice-\*\.h>, and the directory of these headers cannot be read: .*\/absent$/],
    ['empty', /the directory of these headers holds none: .*\/empty$/],
  ])('that are missing are told with the place where they were looked for: %s', async (name, message) => {
    await expect(addAuthorHeaders(mirror, ['fs/hooked.c'], path.join(directory, name))).rejects.toMatchObject(
      {
        code: 'missing_tool',
        message: expect.stringMatching(message),
        hint: expect.stringContaining('checkout'),
      },
    );
    expect(await readdir(mirror)).toEqual(['fs']);
  });

  it('go into the patched tree as they are', async () => {
    const added = await addAuthorHeaders(mirror, ['fs/plain.c', 'fs/hooked.c'], ours);
    expect(added).toContain('include/ksplice-patch.h');
    for (const file of added) {
      expect(await readFile(path.join(mirror, file))).toEqual(
        await readFile(path.join(ours, path.basename(file))),
      );
    }
  });
});
