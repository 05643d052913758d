/** A module placed at rest has the memory that the linker makes of it at the same addresses. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SHT_NOBITS } from '../../src/elf/constants.ts';
import type { ObjectFile, Section } from '../../src/elf/model.ts';
import { readObject } from '../../src/elf/read-object.ts';
import { type Address, addressAt, toAddress } from '../../src/kernel/address.ts';
import { Memory } from '../../src/kernel/image/memory.ts';
import { layoutModule, type ModuleLayout } from '../../src/kernel/image/module-layout.ts';
import { type PlacedModule, placeModule } from '../../src/kernel/image/place-module.ts';
import { openWorkshop, type Workshop } from '../support/compile.ts';

const SOURCE = `
extern int _printk(const char *, ...);
extern int jiffies;
extern int weak_thing(void) __attribute__((weak));
static int counter __attribute__((section(".data..percpu")));
static int *counters[] __attribute__((used)) = { &counter, &jiffies };
static const char *names[] = { "one", "two", "three" };
static char buffer[300] __attribute__((aligned(64)));
static int settled __attribute__((section(".data..ro_after_init"))) = 7;
extern int run(int x);
static int helper(int x) { buffer[x] = 1; return settled + jiffies; }
int (*const table[])(int) = { helper, run };
int run(int x)
{
	counter += x;
	switch (x) {
	case 0: return _printk(names[x]);
	case 1: return _printk("%s\\n", buffer);
	case 2: return helper(x) + table[x & 1](x);
	case 3: return weak_thing ? 1 : 2;
	case 4: return _printk("four");
	default: return (long)&run & 0xff;
	}
}
static int __attribute__((section(".init.text"), used)) start(void) { return run(3); }
`;
const FLAGS = [
  '-O2',
  '-mcmodel=kernel',
  '-fno-pic',
  '-mno-red-zone',
  '-fno-asynchronous-unwind-tables',
  '-ffreestanding',
  '-fno-jump-tables',
];
const PLACE = {
  base: toAddress(0xffffffffc0123000n),
  initBase: toAddress(0xffffffffc0200000n),
  perCpuBase: toAddress(0x34040n),
};
const OUTSIDE: Readonly<Record<string, bigint>> = {
  _printk: 0xffffffff81100a10n,
  jiffies: 0xffffffff82a05980n,
};

let workshop: Workshop;
let object: ObjectFile;
let layout: ModuleLayout;
let placed: PlacedModule;
beforeAll(() => {
  workshop = openWorkshop();
  workshop.compile('m.c', SOURCE, FLAGS);
  object = readObject(workshop.read('m.o'), 'm.o');
  layout = layoutModule(object);
  placed = placeModule(object, 'm', PLACE, (name) => {
    const value = OUTSIDE[name];
    return value === undefined ? undefined : toAddress(value);
  });
  link();
});
afterAll(() => {
  workshop[Symbol.dispose]();
});

/** Sections that have memory, and where. */
function loaded(): readonly { readonly section: Section; readonly address: Address }[] {
  return object.sections.flatMap((section) => {
    const offset = layout.core.get(section.index);
    if (section.size === 0) return [];
    if (offset !== undefined) return [{ section, address: addressAt(PLACE.base, offset) }];
    return section === layout.perCpu ? [{ section, address: PLACE.perCpuBase }] : [];
  });
}

/** Links the object with each section where the layout has it. */
function link(): void {
  const init = [...layout.init].map(
    ([index, offset]) => [object.sections[index]?.name, addressAt(PLACE.initBase, offset)] as const,
  );
  const places = [...loaded().map(({ section, address }) => [section.name, address] as const), ...init];
  const lines = places
    .toSorted((a, b) => (a[1] < b[1] ? -1 : 1))
    .map(([name, address]) => `  ${name} 0x${address.toString(16)} : SUBALIGN(1) { KEEP(*(${name})) }`);
  workshop.write('m.lds', `SECTIONS {\n${lines.join('\n')}\n  /DISCARD/ : { *(.note*) }\n}\n`);
  const defined = Object.entries(OUTSIDE).map(([name, value]) => `--defsym=${name}=0x${value.toString(16)}`);
  workshop.run(
    'ld',
    '-T',
    'm.lds',
    '--no-relax',
    '--no-warn-rwx-segments',
    ...defined,
    '-e',
    'run',
    '-o',
    'm.elf',
    'm.o',
  );
}

describe('placeModule', () => {
  it('gives each section the bytes that ld gives it', () => {
    const memory = new Memory();
    for (const region of placed.regions) memory.add(region);
    const compared = loaded().filter(({ section }) => section.type !== SHT_NOBITS);
    for (const { section, address } of compared) {
      workshop.run('objcopy', '-O', 'binary', '-j', section.name, 'm.elf', 'section.bin');
      const expected = Buffer.from(workshop.read('section.bin')).toString('hex');
      expect(Buffer.from(memory.read(address, section.size)).toString('hex'), section.name).toBe(expected);
    }
    expect(compared.map(({ section }) => section.name)).toEqual(
      expect.arrayContaining([
        '.text',
        '.data',
        '.rodata',
        '.data..percpu',
        '.data..ro_after_init',
        '.rodata.str1.1',
      ]),
    );
    expect(compared.reduce((sum, { section }) => sum + section.relocations.length, 0)).toBeGreaterThanOrEqual(
      20,
    );
  });

  it('gives each symbol the value that ld gives it', () => {
    const values = new Map(
      workshop
        .run('nm', 'm.elf')
        .trim()
        .split('\n')
        .map((line) => {
          const [value = '', , name = ''] = line.split(' ');
          return [name, value] as const;
        }),
    );
    expect(placed.symbols.names).toEqual(
      expect.arrayContaining(['run', 'helper', 'counter', 'buffer', 'settled', 'table']),
    );
    placed.symbols.names.forEach((name, i) => {
      expect(placed.symbols.addresses[i]?.toString(16).padStart(16, '0'), name).toBe(values.get(name));
    });
    expect(placed.symbols.names).not.toContain('start');
  });

  it('its types are those of nm, except where the kernel says it otherwise', () => {
    const types = Object.fromEntries(placed.symbols.names.map((name, i) => [name, placed.symbols.types[i]]));
    expect(types).toMatchObject({
      run: 't',
      helper: 't',
      counter: 'a',
      buffer: 'b',
      settled: 'd',
      table: 'r',
    });
  });
});
