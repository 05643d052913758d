/**
 * Gives damaged kernels and modules to the readers of kernels at rest, and damaged debug information to the reader of types.
 *
 *     npx tsx test/fuzz/image-readers.ts [--inputs N] [--seed N] [--target NAME]...
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { SHF_ALLOC, SHF_WRITE, SHT_PROGBITS } from '../../src/elf/constants.ts';
import type { ObjectFile } from '../../src/elf/model.ts';
import { readObject } from '../../src/elf/read-object.ts';
import { readTypeLayouts } from '../../src/elf/type-layouts.ts';
import { writeObject } from '../../src/elf/write-object.ts';
import { toAddress } from '../../src/kernel/address.ts';
import { payloadOf } from '../../src/kernel/image/boot-image.ts';
import { compressionOf } from '../../src/kernel/image/decompress.ts';
import { readImageKallsyms } from '../../src/kernel/image/image-kallsyms.ts';
import { ImageKernel } from '../../src/kernel/image/image-kernel.ts';
import { decompressLz4 } from '../../src/kernel/image/lz4-legacy.ts';
import { moduleInfo } from '../../src/kernel/image/module-info.ts';
import { placeModule } from '../../src/kernel/image/place-module.ts';
import { unpackKernel } from '../../src/kernel/image/unpack-kernel.ts';
import { readVmlinux } from '../../src/kernel/image/vmlinux.ts';
import { Kcore } from '../../src/kernel/kcore.ts';
import { openWorkshop } from '../support/compile.ts';
import { buildImage } from '../support/elf-builder.ts';
import { type FuzzOptions, type FuzzResult, fuzz, runFuzzer, type Target } from './fuzz-readers.ts';
import { encodeKallsyms, type TableForm } from './kallsyms-encoder.ts';
import { buildBootImage, buildKernel, kernelSymbols, RODATA, TEXT } from './kernel-image.ts';

const FORMS: readonly TableForm[] = [
  { place: 'before', addressing: 'per-cpu', seqs: true },
  { place: 'before', addressing: 'absolute', seqs: false },
  { place: 'behind', addressing: 'base', seqs: true },
  { place: 'behind', addressing: 'place', seqs: true },
];
const PLACE = {
  base: toAddress(0xffffffffc0000000n),
  initBase: toAddress(0xffffffffc4000000n),
  perCpuBase: toAddress(0x34000n),
};

function kernelTarget(): Target {
  return {
    name: 'kernel',
    seeds: [
      buildKernel(),
      buildKernel(kernelSymbols(20), { place: 'behind', addressing: 'per-cpu', seqs: true }),
    ],
    read: (bytes) => {
      const kernel = new ImageKernel(readVmlinux(bytes, 'vmlinux'));
      for (const symbol of kernel.symbols()) kernel.describe(symbol.address);
      kernel.addModule('m', readObject(writeObject(MODULE), 'm.ko'));
    },
  };
}

/** Only the tables are damaged, and not the ELF around them, where most damage would be noticed first. */
function kallsymsTarget(): Target {
  return {
    name: 'kallsyms',
    seeds: FORMS.map((form) => {
      const symbols = kernelSymbols(300).filter(
        ({ address }) => form.addressing === 'per-cpu' || form.addressing === 'absolute' || address >= TEXT,
      );
      return encodeKallsyms(symbols, form, RODATA).bytes;
    }),
    read: (data) => {
      const section = { type: SHT_PROGBITS, flags: SHF_ALLOC, address: toAddress(RODATA), size: data.length };
      const { names, types, addresses } = readImageKallsyms({
        path: 'vmlinux',
        sections: [{ name: '.rodata', ...section, data }],
        segments: [{ address: toAddress(TEXT), size: 0x300_0000, data: new Uint8Array(0) }],
      });
      if (names.length !== addresses.length || types.length !== names.length)
        throw new Error('uneven tables');
      if (names.some((name) => name === '')) throw new Error('a symbol without a name');
    },
  };
}

const MODULE = buildImage({
  sections: {
    '.text': {
      bytes: new Uint8Array(48),
      alignment: 16,
      relocations: [
        [1, 'PLT32', 'do_something_0', -4],
        [8, 'PC32', '.rodata', 0],
        [16, '32S', 'variable', 4],
        [24, '64', 'current_task', 0],
        [32, 'PC64', 'start', 0],
      ],
    },
    '.init.text': { bytes: [0xc3] },
    '.rodata': { bytes: Buffer.from('constants') },
    '.data': { bytes: new Uint8Array(8), relocations: [[0, '64', '.text', 8]] },
    '.bss': { size: 64, alignment: 64 },
    '.data..percpu': { bytes: [1, 2, 3, 4], flags: SHF_ALLOC | SHF_WRITE },
    '.modinfo': { bytes: Buffer.from('license=GPL\0depends=other-one,third\0') },
    __ksymtab: {
      bytes: new Uint8Array(12),
      relocations: [
        [0, 'PC32', 'go', 0],
        [4, 'PC32', '__ksymtab_strings', 0],
      ],
    },
    __ksymtab_strings: { bytes: Buffer.from('go\0') },
  },
  symbols: {
    go: { section: '.text', binding: 'global', type: 'func' },
    variable: { section: '.bss', value: 8 },
    start: { section: '.init.text' },
    counter: { section: '.data..percpu' },
  },
});

function moduleTarget(): Target {
  return {
    name: 'module',
    seeds: [writeObject(MODULE)],
    read: (bytes) => {
      const object = readObject(bytes, 'm.ko');
      moduleInfo(object);
      placeModule(object, 'm', PLACE, (name) => (name === '' ? undefined : toAddress(TEXT)));
    },
  };
}

/** Blocks with every kind of sequence: literals short and long, matches near, far and into themselves. */
function lz4Seed(): { readonly bytes: Uint8Array; readonly size: number } {
  const literals = Buffer.from('0123456789abcdefghijklmnopqrstuvwxyz');
  const block = Buffer.concat([
    Buffer.from([0xf0 | 3, literals.length - 15]),
    literals,
    Buffer.from([36, 0, 0x2f, 0x41, 0x42, 2, 0, 100, 0x10, 0x43]),
  ]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(block.length);
  const size = literals.length + 7 + 2 + 15 + 100 + 4 + 1;
  return {
    bytes: Buffer.concat([Buffer.from([2, 0x21, 0x4c, 0x18]), length, block, length, block]),
    size: 2 * size,
  };
}

function bootTarget(): Target {
  const lz4 = lz4Seed();
  const gzip = gzipSync(buildKernel(kernelSymbols(5)));
  return {
    name: 'boot',
    seeds: [
      buildBootImage(lz4.bytes, lz4.size),
      buildBootImage(gzip, undefined),
      buildBootImage(Buffer.from('\x7fELF'), undefined),
    ],
    read: async (bytes) => {
      // Programs are not started here: a damaged kernel may look like any compression.
      const compression = compressionOf(payloadOf(bytes, 'vmlinuz'));
      if (compression === undefined || compression === 'gzip' || compression === 'lz4') {
        await unpackKernel(bytes, 'vmlinuz');
      }
    },
  };
}

function lz4Target(): Target {
  const { bytes, size } = lz4Seed();
  return { name: 'lz4', seeds: [bytes], read: (damaged) => decompressLz4(damaged, size, 'vmlinuz') };
}

function kcoreTarget(directory: string): Target {
  const file = path.join(directory, 'kcore');
  const header = Buffer.alloc(64 + 2 * 56 + 64);
  header.write('\x7fELF\x02\x01\x01', 'latin1');
  header.writeUInt16LE(4, 16);
  header.writeUInt16LE(62, 18);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(2, 56);
  [TEXT, PLACE.base].forEach((address, i) => {
    const at = 64 + 56 * i;
    header.writeUInt32LE(1, at);
    header.writeBigUInt64LE(BigInt(64 + 2 * 56 + 32 * i), at + 8);
    header.writeBigUInt64LE(address, at + 16);
    header.writeBigUInt64LE(32n, at + 32);
    header.writeBigUInt64LE(32n, at + 40);
  });
  return {
    name: 'kcore',
    seeds: [header],
    read: (bytes) => {
      writeFileSync(file, bytes);
      const kcore = new Kcore(file);
      try {
        kcore.read(toAddress(TEXT), 32);
        kcore.read(toAddress(PLACE.base + 16n), 16);
      } finally {
        kcore.close();
      }
    },
  };
}

/** Every kind of type, in few bytes: so that most of what is damaged is of interest. */
const TYPES = `
typedef struct { int owner; union { struct { short low, high; }; void *link; }; } pair_t;
enum state { IDLE, BUSY = -5 };
enum { NAMELESS } nameless;
struct node { struct node *next; pair_t pairs[2][3]; unsigned int bits : 3, more : 7; enum state state; double real;
  struct { struct { int deep; } *rows[2]; char name[]; } *table; void (*call)(struct node *, const pair_t *); };
const volatile int constant = 3;
static struct { int count; struct node *_Atomic first; } list;
int use(struct node *node)
{
  struct local { long key; pair_t pair; } *local = (void *)node;
  static int kept;
  return kept++ + local->key + list.count++ + constant + nameless;
}
`;

function typesObject(): Uint8Array {
  using workshop = openWorkshop();
  workshop.compile('types.c', TYPES, ['-O1', '-g', '-gdwarf-5']);
  return workshop.read('types.o');
}

/** The whole object is damaged. */
function objectTypesTarget(): Target {
  return {
    name: 'object-types',
    seeds: [typesObject()],
    read: (bytes) => {
      readTypeLayouts(readObject(bytes, 'types.o'), new Map());
    },
  };
}

/** Only the entries and the table of their forms are damaged. */
function typesTarget(): Target {
  const object = readObject(typesObject(), 'types.o');
  const dataOf = (name: string): Uint8Array =>
    object.sections.find((section) => section.name === name)?.data ?? new Uint8Array(0);
  const info = dataOf('.debug_info');
  return {
    name: 'types',
    seeds: [Buffer.concat([info, dataOf('.debug_abbrev')])],
    read: (bytes) => {
      const damaged = new Map([
        ['.debug_info', bytes.subarray(0, info.length)],
        ['.debug_abbrev', bytes.subarray(info.length)],
      ]);
      const sections = object.sections.map((section) => ({
        ...section,
        data: damaged.get(section.name) ?? section.data,
      }));
      const file: ObjectFile = { ...object, sections };
      readTypeLayouts(file, new Map());
    },
  };
}

/** Reads `inputs` damaged files, in turn of each target. */
export async function fuzzImageReaders(inputs: number, options: FuzzOptions): Promise<FuzzResult> {
  const directory = mkdtempSync(path.join(tmpdir(), 'ksplice-fuzz-'));
  try {
    const all = [
      kernelTarget(),
      kallsymsTarget(),
      moduleTarget(),
      bootTarget(),
      lz4Target(),
      kcoreTarget(directory),
      objectTypesTarget(),
      typesTarget(),
    ];
    const targets = all.filter(({ name }) => options.targets?.includes(name) ?? true);
    return await fuzz(targets, inputs, options);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

if (process.argv[1] === import.meta.filename) await runFuzzer(fuzzImageReaders);
