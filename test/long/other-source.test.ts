/**
 * Updates made from a source that is not the kernel's, or not in its way, as a person makes them who has the wrong tree:
 * each is made without complaint, and each is refused by what the kernel's code is, with the place and both disassemblies.
 */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DebianKernel, debianSources } from '../../src/debian/debian-sources.ts';
import { run } from '../../src/process/run.ts';
import { hostBundle, hostKsplice } from '../support/live/host-cli.ts';
import { releaseFix } from '../support/live/release-fixes.ts';
import { FIXED_SOURCE, fixPatch } from '../support/live/update-file.ts';
import { TEST_RELEASE, testCacheDir } from '../support/vm/test-kernel.ts';

/** The same release one build later, with modules of the same names. */
const NEXT_RELEASE = '6.1.0-50-cloud-amd64';

interface Edit {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const edits: readonly (readonly [string, Edit])[] = [
  [
    'another compiler flag',
    {
      file: 'net/ipv4/Makefile',
      from: 'obj-y     := ',
      to: 'ccflags-y += -fno-omit-frame-pointer\nobj-y     := ',
    },
  ],
  [
    'a struct with another layout',
    {
      file: 'include/net/inet_sock.h',
      from: '\t__be32\t\tnexthop;\n',
      to: '\t__be32\t\tnexthop, previous;\n',
    },
  ],
  [
    'a line edited by hand',
    {
      file: FIXED_SOURCE,
      from: 'dopt->rr = dopt->optlen + sizeof',
      to: 'dopt->rr = dopt->optlen + 4 + sizeof',
    },
  ],
];

let bundle: string;
let folder: string;
let kernel: DebianKernel;

beforeAll(async () => {
  bundle = await hostBundle();
  kernel = await debianSources(TEST_RELEASE, { cacheDir: testCacheDir() });
  folder = await mkdtemp(join(tmpdir(), 'ksplice-other-source-'));
  await writeFile(join(folder, 'fix.patch'), await fixPatch());
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** The kernel's source, as links to its files but for what is edited, and its Module.symvers. */
async function sourceTree(edit?: Edit): Promise<string> {
  const tree = await mkdtemp(join(folder, 'tree-'));
  await run(['cp', '-al', `${kernel.source}/.`, tree]);
  await cp(join(kernel.headers, 'Module.symvers'), join(tree, 'Module.symvers'));
  if (edit !== undefined) {
    const { file, from, to } = edit;
    const text = await readFile(join(kernel.source, file), 'utf8');
    expect(text.split(from)).toHaveLength(2);
    await rm(join(tree, file));
    await writeFile(join(tree, file), text.replace(from, to));
  }
  return tree;
}

describe('an update made from the kernel’s source with', () => {
  it.each(edits)('%s does not fit', { timeout: 900_000 }, async (_, edit) => {
    const tree = await sourceTree(edit);
    const update = join(tree, 'other.ksplice');
    const from = ['--source', tree, '--config', kernel.config, '--image', kernel.image];
    const create = ['create', '--patch', 'fix.patch', ...from, '--id', 'other', '-o', update];
    const made = await hostKsplice(bundle, create, folder);
    expect(made.exitCode, made.stderr).toBe(0);

    const check = ['check', update, '--image', kernel.image, '--json'];
    const { exitCode, stdout } = await hostKsplice(bundle, check, folder);
    expect(exitCode, stdout).toBe(4);
    const place = expect.stringMatching(/^> \w+\+0x[0-9a-f]+: +(?:[0-9a-f]{2} )+ +[a-z]+/);
    expect(JSON.parse(stdout)).toMatchObject({
      code: 'no_match',
      message: expect.stringMatching(/\+0x[0-9a-f]+ \(\S+:\d+\): found .* in the kernel, expected /),
      hint: expect.stringContaining('another source'),
      details: {
        unit: 'net/ipv4/ip_options.o',
        line: { file: expect.any(String), line: expect.any(Number) },
        running: expect.arrayContaining([place]),
        source: expect.arrayContaining([place]),
      },
    });
  });

  it('nothing changed fits', { timeout: 900_000 }, async () => {
    const update = join(folder, 'same.ksplice');
    const from = ['--source', await sourceTree(), '--config', kernel.config, '--image', kernel.image];
    const create = ['create', '--patch', 'fix.patch', ...from, '--id', 'same', '-o', update];
    const made = await hostKsplice(bundle, create, folder);
    expect(made.exitCode, made.stderr).toBe(0);
    const check = ['check', update, '--image', kernel.image, '--json'];
    const { exitCode, stdout } = await hostKsplice(bundle, check, folder);
    expect(exitCode, stdout).toBe(0);
  });
});

it('a module of the same name, built from other source, does not match', { timeout: 900_000 }, async () => {
  const update = join(folder, 'module.ksplice');
  const patch = join(folder, 'module.patch');
  await writeFile(patch, await releaseFix('net/sched/em_nbyte.c'));
  const create = ['create', '--patch', patch, '--kernel', TEST_RELEASE, '--id', 'module', '-o', update];
  const made = await hostKsplice(bundle, create, folder);
  expect(made.exitCode, made.stderr).toBe(0);

  // The kernel's own modules, and then the same with one file of another build in its place.
  const next = await debianSources(NEXT_RELEASE, { cacheDir: testCacheDir(), parts: ['image'] });
  const name = 'net/sched/em_nbyte.ko';
  const modules = join(folder, 'modules');
  await run(['cp', '-al', kernel.modules, modules]);
  const check = ['check', update, '--image', kernel.image, '--modules', modules, '--json'];
  expect((await hostKsplice(bundle, check, folder)).exitCode).toBe(0);
  await rm(join(modules, 'kernel', name));
  await cp(join(next.modules, 'kernel', name), join(modules, 'kernel', name));
  const { exitCode, stdout } = await hostKsplice(bundle, check, folder);
  expect(exitCode, stdout).toBe(4);
  expect(JSON.parse(stdout)).toMatchObject({ details: { unit: 'net/sched/em_nbyte.o' } });
});
