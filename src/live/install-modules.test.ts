/** Fixed modules in a directory of modules of our own, with the depmod of this machine. */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sampleWithModule } from '../../test/support/sample-update.ts';
import type { KspliceError } from '../diagnostics/error.ts';
import { readUpdate } from '../update/read-update.ts';
import type { Update } from '../update/update.ts';
import { writeUpdate } from '../update/write-update.ts';
import { areInstalled, hideModules, installModules } from './install-modules.ts';
import { ModuleTree, readInstalled } from './module-directory.ts';

const RELEASE = '6.1.0-47-cloud-amd64';
const KERNELS_OWN = 'kernel/lib/raid6/raid6-pq.ko';
const OURS = 'updates/ksplice/sample_1/raid6-pq.ko';
const NAMES = ['raid6_pq'];

let directory: string;
let tree: ModuleTree;
let module: Uint8Array;
let update: Update;

beforeEach(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'ksplice-modules-'));
  tree = new ModuleTree(RELEASE, path.join(directory, 'lib/modules'));
  module = compiled();
  const [carried] = sampleWithModule().modules;
  if (carried === undefined) throw new RangeError('the sample has a module');
  const contents = sampleWithModule({ modules: [{ ...carried, bytes: module }] });
  update = readUpdate(await writeUpdate(contents), 'sample.ksplice');
  put(KERNELS_OWN, module);
  depmod();
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

function put(name: string, bytes: Uint8Array): void {
  const file = path.join(tree.root, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, bytes);
}

/** Something that depmod takes for a module. */
function compiled(): Uint8Array {
  const object = path.join(directory, 'module.o');
  execFileSync('gcc', ['-xc', '-c', '-o', object, '-'], { input: 'int start(void) { return 1; }' });
  return readFileSync(object);
}

function depmod(): void {
  execFileSync('/usr/sbin/depmod', ['-b', directory, RELEASE], { stdio: 'ignore' });
}

async function failure(action: Promise<unknown>): Promise<Partial<KspliceError>> {
  return await action.then(
    () => expect.fail('expected an error'),
    (error: Partial<KspliceError>) => error,
  );
}

describe('fixed modules', () => {
  it('are what modprobe takes once they are installed, and no more once they are removed', async () => {
    expect(tree.firstFile('raid6_pq')).toBe(KERNELS_OWN);
    expect(areInstalled(tree, update, NAMES)).toBe(false);
    expect(await installModules(tree, update, NAMES)).toEqual([path.join(tree.root, OURS)]);
    expect(tree.firstFile('raid6_pq')).toBe(OURS);
    expect(areInstalled(tree, update, NAMES)).toBe(true);
    expect(readdirSync(tree.directoryOf('sample_1')).sort()).toEqual(['manifest.json', 'raid6-pq.ko']);
    expect(statSync(path.join(tree.root, OURS)).mode & 0o777).toBe(0o644);

    const installed = readInstalled(tree, 'sample_1');
    expect(installed?.manifest).toEqual(update.manifest);
    if (installed === undefined) return;
    const hidden = await hideModules(tree, installed);
    expect(tree.firstFile('raid6_pq')).toBe(KERNELS_OWN);
    await hidden.restore();
    expect(tree.firstFile('raid6_pq')).toBe(OURS);
    (await hideModules(tree, installed)).finish();
    expect(existsSync(path.join(tree.root, 'updates'))).toBe(false);
  });

  it('are left by a removal where somebody has altered them', async () => {
    await installModules(tree, update, NAMES);
    const file = path.join(tree.root, OURS);
    writeFileSync(file, Buffer.concat([module, Buffer.from([1])]));
    const installed = readInstalled(tree, 'sample_1');
    expect(installed?.modules).toMatchObject([{ state: 'altered' }]);
    if (installed === undefined) return;
    const { removed, kept, finish } = await hideModules(tree, installed);
    finish();
    expect([removed, kept]).toEqual([[], [file]]);
    expect(readFileSync(file)).toHaveLength(module.length + 1);
  });

  it('are not installed for what the machine has no file of', async () => {
    rmSync(path.join(tree.root, KERNELS_OWN));
    depmod();
    expect(await installModules(tree, update, NAMES)).toEqual([]);
    expect(existsSync(path.join(tree.root, 'updates'))).toBe(false);
  });

  it('do not replace a module that is not the kernel\u2019s own', async () => {
    put('updates/dkms/raid6-pq.ko', module);
    depmod();
    const error = await failure(installModules(tree, update, NAMES));
    expect(error).toMatchObject({ code: 'refused', exitCode: 2 });
    expect(error.message).toContain('updates/dkms/raid6-pq.ko');
    expect(existsSync(tree.updates)).toBe(false);
  });

  it('do not replace those of another update, which is named', async () => {
    const other = readUpdate(await writeUpdate({ ...sampleWithModule(), id: 'other' }), 'other.ksplice');
    await installModules(tree, update, NAMES);
    const error = await failure(installModules(tree, other, NAMES));
    expect(error).toMatchObject({ code: 'module_busy', hint: expect.stringContaining('undo sample_1') });
    expect(readdirSync(tree.updates)).toEqual(['sample_1']);
  });

  it('cannot be installed where something is in the way: 69, and nothing has changed', async () => {
    // A file where a directory is needed: unlike permissions, it stops root, too.
    writeFileSync(path.join(tree.root, 'updates'), '');
    const error = await failure(installModules(tree, update, NAMES));
    expect(error).toMatchObject({ code: 'modules_not_writable', exitCode: 69 });
    expect(tree.firstFile('raid6_pq')).toBe(KERNELS_OWN);
    expect(readdirSync(tree.root)).toContain('updates');
  });
});
