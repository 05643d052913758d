import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildBootImage, buildKernel, kernelSymbols, TEXT, TODAY } from '../../../test/fuzz/kernel-image.ts';
import { buildImage, type ObjectRecord } from '../../../test/support/elf-builder.ts';
import { writeObject } from '../../elf/write-object.ts';
import { toAddress } from '../address.ts';
import { ImageKernel } from './image-kernel.ts';

const MODULES = 0xffffffffc0000000n;
let directory = '';
beforeAll(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'ksplice-image-'));
  mkdirSync(path.join(directory, 'modules/kernel/net'), { recursive: true });
  mkdirSync(path.join(directory, 'modules/updates'), { recursive: true });
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

function write(name: string, bytes: Uint8Array): string {
  const file = path.join(directory, name);
  writeFileSync(file, bytes);
  return file;
}
function vmlinuz(kernel = buildKernel()): string {
  return write('vmlinuz', buildBootImage(gzipSync(kernel), undefined));
}
const modinfo = (...entries: readonly string[]): { bytes: Uint8Array } => ({
  bytes: Buffer.from(entries.map((entry) => `${entry}\0`).join('')),
});
/** A module that calls `callee`, and exports what is in `exported`. */
function moduleBytes(callee: string, depends: string, exported?: string): Uint8Array {
  const record: ObjectRecord = {
    sections: {
      '.text': { bytes: [0xe8, 0, 0, 0, 0, 0xc3], relocations: [[1, 'PLT32', callee, -4]] },
      '.data..percpu': { bytes: [1, 2, 3, 4], alignment: 64, flags: 3 },
      '.modinfo': modinfo('license=GPL', `depends=${depends}`, 'vermagic=6.1.0-99-test SMP'),
      ...(exported === undefined
        ? {}
        : {
            __ksymtab: {
              bytes: new Uint8Array(12),
              relocations: [
                [0, 'PC32', exported, 0],
                [4, 'PC32', '__ksymtab_strings', 0],
              ] as const,
            },
            __ksymtab_strings: { bytes: Buffer.from(`${exported}\0`) },
          }),
    },
    symbols: {
      counter: { section: '.data..percpu' },
      ...(exported === undefined ? { show: { section: '.text' } } : { [exported]: { section: '.text' } }),
    },
  };
  return writeObject(buildImage(record));
}
async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'no error',
    (error: unknown) =>
      error instanceof Error && 'code' in error ? `${String(error.code)}: ${error.message}` : '',
  );
}

describe('ImageKernel', () => {
  it('opens a bzImage: release, symbols, memory', async () => {
    const kernel = await ImageKernel.open(vmlinuz());
    expect(kernel.release).toBe('6.1.0-99-test');
    expect(kernel.version).toBe('#1 SMP Debian 6.1.999-1 (2026-01-01)');
    expect(kernel.isRunning).toBe(false);
    expect([...kernel.symbols()].length).toBe(kernelSymbols(40).length);
    expect(kernel.named('show').map(({ address }) => address)).toEqual(
      [4, 13, 22, 31].map((i) => TEXT + BigInt(16 * i)),
    );
    expect(kernel.named('no_such_symbol')).toEqual([]);
    expect([...kernel.read(toAddress(TEXT + 3n), 2)]).toEqual([21, 28]);
    expect([...kernel.read(toAddress(0x40n), 1)]).toEqual([0xcc]);
    const key = kernel.named('static_key')[0]?.address ?? toAddress(0n);
    expect([...kernel.read(key, 4)]).toEqual([0, 0, 0, 0]);
    expect(kernel.describe(toAddress(TEXT + 0x1fn))).toBe('do_something_1+0xf');
    expect(kernel.describe(toAddress(0xffffffffb0000000n))).toBeUndefined();
    expect(kernel.modules()).toEqual([]);
  });

  it('opens a vmlinux, plain and compressed', async () => {
    const kernel = buildKernel();
    for (const bytes of [kernel, gzipSync(kernel), buildBootImage(kernel, undefined)]) {
      expect((await ImageKernel.open(write('vmlinux', bytes))).release).toBe('6.1.0-99-test');
    }
  });

  it('loads modules by name, with what they depend on, one behind the other', async () => {
    write('modules/kernel/net/first-one.ko', moduleBytes('do_something_3', '', 'first_go'));
    write('modules/kernel/net/second.ko.gz', gzipSync(moduleBytes('first_go', 'first-one')));
    const kernel = await ImageKernel.open(vmlinuz(), {
      modulesDirectory: path.join(directory, 'modules'),
      modules: ['second'],
    });
    expect(kernel.modules()).toEqual([
      { name: 'first_one', size: 0x3000, base: MODULES, live: true },
      { name: 'second', size: 0x2000, base: MODULES + 0x5000n, live: true },
    ]);
    expect(await kernel.loadModule('first-one')).toBe(kernel.modules()[0]);
    // call first_go
    const call = Buffer.from(kernel.read(toAddress(MODULES + 0x5000n), 6));
    expect(call.readInt32LE(1)).toBe(-0x5005);
    expect(kernel.named('first_go', 'first_one')).toMatchObject([{ type: 'T', address: MODULES }]);
    expect(kernel.named('show', 'second').length).toBe(1);
    expect(kernel.named('show').every(({ module }) => module === undefined)).toBe(true);
    expect(kernel.describe(toAddress(MODULES + 0x5005n))).toBe('show+0x5');
    // Per-CPU data behind the kernel's own, 0x80 bytes.
    expect(kernel.named('counter', 'first_one')).toMatchObject([{ type: 'a', address: 0x80n }]);
    expect(kernel.named('counter', 'second')).toMatchObject([{ type: 'a', address: 0xc0n }]);
    expect([...kernel.read(toAddress(0xc0n), 4)]).toEqual([1, 2, 3, 4]);
  });

  it('an updated module hides the one that the kernel came with', async () => {
    write('modules/kernel/net/twice.ko', moduleBytes('do_something_3', '', 'old'));
    write('modules/updates/twice.ko', moduleBytes('do_something_3', '', 'new'));
    const kernel = await ImageKernel.open(vmlinuz(), { modulesDirectory: path.join(directory, 'modules') });
    await kernel.loadModule('twice');
    expect(kernel.named('new', 'twice').length).toBe(1);
  });

  it('finds a name in all modules, those too that are loaded after it was asked for', async () => {
    write('modules/kernel/net/early.ko', moduleBytes('do_something_3', ''));
    write('modules/kernel/net/late.ko', moduleBytes('do_something_3', ''));
    const kernel = await ImageKernel.open(vmlinuz(), { modulesDirectory: path.join(directory, 'modules') });
    const owners = (name: string): readonly (string | undefined)[] =>
      kernel.everywhere(name).map(({ module }) => module);
    await kernel.loadModule('early');
    expect(owners('show')).toEqual([undefined, undefined, undefined, undefined, 'early']);
    expect(owners('counter')).toEqual(['early']);
    await kernel.loadModule('late');
    expect(owners('show')).toEqual([undefined, undefined, undefined, undefined, 'early', 'late']);
    expect(owners('counter')).toEqual(['early', 'late']);
    expect(owners('no_such_symbol')).toEqual([]);
  });

  it('says what is missing', async () => {
    write('modules/kernel/net/lonely.ko', moduleBytes('do_something_1', ''));
    write('modules/kernel/net/needy.ko', moduleBytes('first_go', 'second,gone'));
    const kernel = await ImageKernel.open(vmlinuz(), { modulesDirectory: path.join(directory, 'modules') });
    // do_something_1 is there, but not exported.
    expect(await codeOf(kernel.loadModule('lonely'))).toBe(
      'failed_to_find: lonely: needs the symbol do_something_1, which neither the kernel nor a module it depends on exports',
    );
    expect(await codeOf(kernel.loadModule('absent'))).toMatch(
      /^target_not_loaded: .*modules: has no module absent/,
    );
    expect(await codeOf(kernel.loadModule('needy'))).toMatch(
      /^target_not_loaded: .*modules: has no module gone, which needy depends on/,
    );
    const bare = await ImageKernel.open(vmlinuz());
    expect(await codeOf(bare.loadModule('veth'))).toMatch(/^target_not_loaded: veth: no directory/);
    expect(await codeOf(ImageKernel.open(path.join(directory, 'absent')))).toMatch(
      /^usage: cannot read the image/,
    );
    expect(
      await codeOf(
        ImageKernel.open(vmlinuz(), { modulesDirectory: path.join(directory, 'no'), modules: ['x'] }),
      ),
    ).toMatch(/^usage: cannot read the modules in/);
  });

  it('modules that depend on each other are an error, not a circle', async () => {
    write('modules/kernel/net/hen.ko', moduleBytes('lay', 'egg', 'hatch'));
    write('modules/kernel/net/egg.ko', moduleBytes('hatch', 'hen', 'lay'));
    const kernel = await ImageKernel.open(vmlinuz(), { modulesDirectory: path.join(directory, 'modules') });
    expect(await codeOf(kernel.loadModule('hen'))).toMatch(/^failed_to_find: egg: needs the symbol hatch/);
  });

  it.each([
    [
      'a kernel without a banner',
      buildKernel(kernelSymbols(5).filter(({ name }) => name !== 'linux_banner')),
      /have no linux_banner/,
    ],
    [
      'a banner that is none',
      buildKernel(
        kernelSymbols(5).map((each) =>
          each.name === 'linux_banner' ? { ...each, address: each.address + 6n } : each,
        ),
        TODAY,
      ),
      /linux_banner at .* is no banner: 'version/,
    ],
    [
      'something else',
      Buffer.from('a text of some length that is no kernel'.repeat(9)),
      /neither a compressed kernel nor an ELF file|file header/,
    ],
  ])('%s: malformed_image', async (_, kernel, message) => {
    const found = await codeOf(ImageKernel.open(write('bad', kernel)));
    expect(found).toMatch(/^malformed_image: /);
    expect(found).toMatch(message);
  });

  it('a payload whose size is another than it says', async () => {
    // lz4: one block of five literals, said to be six.
    const lz4 = Buffer.from([2, 0x21, 0x4c, 0x18, 6, 0, 0, 0, 0x50, 1, 2, 3, 4, 5]);
    const found = await codeOf(ImageKernel.open(write('bad', buildBootImage(lz4, 6))));
    expect(found).toMatch(/^malformed_image: .*gave 0x5 bytes, expected 0x6/);
    const gzip = gzipSync(buildKernel());
    gzip.writeUInt32LE(99, gzip.length - 4);
    expect(await codeOf(ImageKernel.open(write('bad', buildBootImage(gzip, undefined))))).toMatch(
      /^malformed_image: /,
    );
  });
});
