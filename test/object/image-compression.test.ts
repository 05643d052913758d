/** Kernels and modules at rest in every compression that a kernel's build knows, compressed by the tools that it uses. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeObject } from '../../src/elf/write-object.ts';
import { compressionOf, decompress } from '../../src/kernel/image/decompress.ts';
import { ImageKernel } from '../../src/kernel/image/image-kernel.ts';
import { readModuleFile } from '../../src/kernel/image/module-directory.ts';
import { buildBootImage, buildKernel, kernelSymbols } from '../fuzz/kernel-image.ts';
import { buildImage } from '../support/elf-builder.ts';

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'ksplice-compression-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

function pack(tool: string, args: readonly string[], bytes: Uint8Array): Uint8Array {
  return execFileSync(tool, args, { input: bytes, maxBuffer: 1 << 28, stdio: ['pipe', 'pipe', 'ignore'] });
}
function write(name: string, bytes: Uint8Array): string {
  const file = path.join(directory, name);
  writeFileSync(file, bytes);
  return file;
}

/** A directory for programs with none in it. */
function empty(): string {
  return path.join(directory, 'empty');
}

/** As cmd_gzip and its like in scripts/Makefile.lib; gzip alone has no size behind it. */
const TOOLS: readonly (readonly [string, string, readonly string[]])[] = [
  ['gzip', 'gzip', ['-n', '-9']],
  ['bzip2', 'bzip2', ['-9']],
  ['lzma', 'xz', ['--format=lzma', '-9']],
  ['xz', 'xz', ['--check=crc32', '--x86', '--lzma2=dict=128MiB']],
  ['lzo', 'lzop', ['-9']],
  ['lz4', 'lz4', ['-l', '-9', '-c']],
  // --ultra -22 takes long; what matters of it is a window larger than zstd takes unasked.
  ['zstd', 'zstd', ['-1', '--long=28', '-c']],
];
/** The list of relocations that a kernel with KASLR has behind the ELF file. */
const RELOCATIONS = Buffer.alloc(40_000, 0x5a);

describe.each(TOOLS)('%s', (compression, tool, args) => {
  const kernel = Buffer.concat([buildKernel(kernelSymbols(2000)), RELOCATIONS]);
  const size = compression === 'gzip' ? undefined : kernel.length;

  it('a kernel', async () => {
    const compressed = pack(tool, args, kernel);
    expect(compressionOf(compressed)).toBe(compression);
    const opened = await ImageKernel.open(write('vmlinuz', buildBootImage(compressed, size)));
    expect(opened.release).toBe('6.1.0-99-test');
    expect([...opened.symbols()].length).toBe(kernelSymbols(2000).length);
  });

  it('a kernel that is damaged, or shorter than it says: malformed_image', async () => {
    const compressed = pack(tool, args, kernel);
    const damaged = Buffer.from(compressed);
    damaged.fill(0xa5, damaged.length >> 1, (damaged.length >> 1) + 64);
    const cut = compressed.subarray(0, compressed.length - 40);
    for (const bytes of [damaged, cut]) {
      const image = write('vmlinuz', buildBootImage(bytes, size));
      await expect(ImageKernel.open(image)).rejects.toMatchObject({ code: 'malformed_image', exitCode: 65 });
    }
    if (size === undefined) return;
    for (const other of [size - 1, size + 1]) {
      const image = write('vmlinuz', buildBootImage(compressed, other));
      await expect(ImageKernel.open(image)).rejects.toMatchObject({ code: 'malformed_image' });
    }
  });

  it('never gives more than it is asked for', async () => {
    const bomb = pack(tool, args, Buffer.alloc(8 << 20));
    await expect(
      decompress(bomb, compressionOf(bomb) ?? 'gzip', 1 << 20, 'bomb').then(() => 'gave it all'),
    ).rejects.toMatchObject({ code: 'malformed_image' });
  });
});

it('LZ4 in more than one block of 8 MiB', async () => {
  const large = Buffer.concat([
    Buffer.alloc(9 << 20, 'a block and a bit '),
    Buffer.alloc(1 << 20),
    RELOCATIONS,
  ]);
  const compressed = pack('lz4', ['-l', '-9', '-c'], large);
  expect(Buffer.from(await decompress(compressed, 'lz4', large.length, 'x')).equals(large)).toBe(true);
});

it.each([
  ['plain', 'm.ko', undefined],
  ['gzip', 'm.ko.gz', ['gzip', '-n']],
  ['xz', 'm.ko.xz', ['xz', '--check=crc32']],
  ['zstd', 'm.ko.zst', ['zstd', '-c']],
] as const)('a module: %s', async (_, name, command) => {
  const module = writeObject(buildImage({ sections: { '.text': { bytes: [0xc3] } } }));
  const bytes = command === undefined ? module : pack(command[0], command.slice(1), module);
  const object = await readModuleFile(write(name, bytes));
  expect(object.sections.find((section) => section.name === '.text')?.data).toEqual(Uint8Array.of(0xc3));
});

describe('a tool that is not installed', () => {
  const PATH = process.env['PATH'];
  beforeAll(() => {
    mkdirSync(empty());
  });
  afterAll(() => {
    process.env['PATH'] = PATH;
  });

  it.each([
    ['bzip2', 'bzip2', ['-9'], 'bzip2'],
    ['xz', 'xz', [], 'xz-utils'],
    ['lzo', 'lzop', [], 'lzop'],
    ['zstd', 'zstd', ['-c'], 'zstd'],
  ] as const)('%s: missing_tool, with the package', async (compression, tool, args, debian) => {
    process.env['PATH'] = PATH;
    const image = write('vmlinuz', buildBootImage(pack(tool, args, buildKernel()), buildKernel().length));
    process.env['PATH'] = empty();
    await expect(ImageKernel.open(image)).rejects.toMatchObject({
      code: 'missing_tool',
      exitCode: 69,
      message: expect.stringMatching(`vmlinuz: compressed with ${compression}, and ${tool} is not found`),
      hint: `apt-get install ${debian}`,
    });
  });

  it('gzip and LZ4 need none', async () => {
    process.env['PATH'] = PATH;
    const kernel = buildKernel();
    const images = [
      buildBootImage(pack('gzip', ['-n'], kernel), undefined),
      buildBootImage(pack('lz4', ['-l', '-c'], kernel), kernel.length),
    ];
    process.env['PATH'] = empty();
    for (const image of images) {
      expect((await ImageKernel.open(write('vmlinuz', image))).release).toBe('6.1.0-99-test');
    }
  });
});
