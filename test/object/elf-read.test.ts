import { expect, it } from 'vitest';
import { relocationName, SHN_LORESERVE, STT_SECTION } from '../../src/elf/constants.ts';
import type { ElfSymbol, ObjectFile, Section } from '../../src/elf/model.ts';
import { readObject } from '../../src/elf/read-object.ts';
import { cSample, flagSets } from '../support/c-sample.ts';
import { openWorkshop } from '../support/compile.ts';

it.each(flagSets)('sections, symbols and relocations are those of readelf: %s %s', (...flags) => {
  using workshop = openWorkshop();
  workshop.compile(
    'sample.c',
    cSample,
    flags.filter((flag) => typeof flag === 'string'),
  );
  const object = readObject(workshop.read('sample.o'), 'sample.o');
  const listing = workshop.run('readelf', '-SWsr', 'sample.o');

  expect(object.sections.map(sectionLine)).toEqual(parseSections(listing));
  expect(object.symbols.map((symbol) => symbolLine(object, symbol))).toEqual(parseSymbols(listing));
  expect(relocationLines(object)).toEqual(parseRelocations(listing));
  expect(relocationLines(object).length).toBeGreaterThan(20);
});

it('contents are those that objcopy takes out', () => {
  using workshop = openWorkshop();
  workshop.compile('sample.c', cSample, ['-O2']);
  const object = readObject(workshop.read('sample.o'), 'sample.o');
  for (const name of ['.text', '.rodata', '.data', '__sites']) {
    workshop.run(
      'objcopy',
      '-O',
      'binary',
      '--set-section-flags',
      `${name}=alloc`,
      '-j',
      name,
      'sample.o',
      'out',
    );
    const section = object.sections.find((each) => each.name === name);
    expect(Buffer.from(section?.data ?? []).equals(workshop.read('out')), name).toBe(true);
  }
});

it('a section group is a plain section', () => {
  using workshop = openWorkshop();
  const source = '.section .text.f,"axG",@progbits,f,comdat\n.weak f\nf: ret\n';
  workshop.compile('group.s', source);
  const object = readObject(workshop.read('group.o'), 'group.o');
  expect(object.sections.find(({ name }) => name === '.group')).toMatchObject({ type: 17, size: 8 });
  expect(object.symbols.map(({ name }) => name)).toContain('f');
});

it('more than 0xff00 sections: symbols find theirs', () => {
  using workshop = openWorkshop();
  const count = SHN_LORESERVE + 300;
  const source = Array.from(
    { length: count },
    (_, i) => `.section .s${i},"a"\n.globl f${i}\nf${i}: .byte ${i % 251}\n`,
  );
  workshop.compile('many.s', source.join(''));
  const object = readObject(workshop.read('many.o'), 'many.o');
  expect(object.sections.length).toBeGreaterThan(count);
  for (const symbol of object.symbols) {
    if (!symbol.name.startsWith('f')) continue;
    const section = typeof symbol.place === 'number' ? object.sections[symbol.place] : undefined;
    if (
      section?.name !== `.s${symbol.name.slice(1)}` ||
      section.data[0] !== Number(symbol.name.slice(1)) % 251
    ) {
      expect.fail(`${symbol.name} is in ${section?.name}`);
    }
  }
  expect(object.symbols.filter(({ name }) => name.startsWith('f'))).toHaveLength(count);
}, 60_000);

const sectionTypes: ReadonlyMap<number, string> = new Map([
  [0, 'NULL'],
  [1, 'PROGBITS'],
  [2, 'SYMTAB'],
  [3, 'STRTAB'],
  [4, 'RELA'],
  [7, 'NOTE'],
  [8, 'NOBITS'],
]);
const flagLetters = 'WAXxMSILOGTC';
const symbolTypes = ['NOTYPE', 'OBJECT', 'FUNC', 'SECTION', 'FILE', 'COMMON', 'TLS'];
const bindings = ['LOCAL', 'GLOBAL', 'WEAK'];
const visibilities = ['DEFAULT', 'INTERNAL', 'HIDDEN', 'PROTECTED'];

/** `[ 1] .text PROGBITS 0000000000000000 000040 000123 00 AX 0 0 16`, without address and offset. */
function parseSections(listing: string): readonly string[] {
  const row =
    /^ {2}\[ *(\d+)\] (\S*) +(\w+) +0{16} [0-9a-f]+ ([0-9a-f]+) ([0-9a-f]+) +([A-Zx]*) +(\d+) +(\d+) +(\d+)$/gm;
  return Array.from(listing.matchAll(row), (match) => match.slice(1).join(' '));
}

function sectionLine(section: Section): string {
  const flags = Array.from(flagLetters, (letter, bit) => ((section.flags >> bit) & 1 ? letter : '')).join('');
  return [
    section.index,
    section.name,
    sectionTypes.get(section.type),
    section.size.toString(16).padStart(6, '0'),
    section.entrySize.toString(16).padStart(2, '0'),
    flags,
    section.link,
    section.info,
    section.alignment,
  ].join(' ');
}

/** `  4: 0000000000000010  52 FUNC LOCAL DEFAULT 1 show`. */
function parseSymbols(listing: string): readonly string[] {
  const row = /^ +(\d+): ([0-9a-f]{16}) +(\S+) (\w+) +(\w+) +(\w+) +(\w+) ?(.*)$/gm;
  return Array.from(listing.matchAll(row), (match) => match.slice(1).join(' ').trimEnd());
}

function symbolLine(object: ObjectFile, symbol: ElfSymbol): string {
  const place =
    typeof symbol.place === 'number'
      ? symbol.place
      : { undefined: 'UND', absolute: 'ABS', common: 'COM' }[symbol.place];
  return [
    symbol.index,
    symbol.value.toString(16).padStart(16, '0'),
    symbol.size,
    symbolTypes[symbol.type],
    bindings[symbol.binding],
    visibilities[symbol.visibility],
    place,
    nameOf(object, symbol),
  ]
    .join(' ')
    .trimEnd();
}

/** Rows of all relocation sections, by section and offset: `.text 00000012 R_X86_64_PLT32 printk - 4`. */
function parseRelocations(listing: string): readonly string[] {
  const rows: { readonly section: string; readonly offset: number; readonly line: string }[] = [];
  let section = '';
  for (const line of listing.split('\n')) {
    section = /^Relocation section '\.rela(\S+)'/.exec(line)?.[1] ?? section;
    const match = /^([0-9a-f]{16}) +[0-9a-f]{16} (\w+) +[0-9a-f]{16} (\S+) ([+-]) ([0-9a-f]+)$/.exec(line);
    if (match === null) continue;
    const [, offset = '', type, symbol, sign, addend] = match;
    rows.push({
      section,
      offset: Number.parseInt(offset, 16),
      line: `${section} ${offset} ${type} ${symbol} ${sign} ${addend}`,
    });
  }
  // Our lists are sorted; readelf prints the order of the file.
  const sections = [...new Set(rows.map((row) => row.section))];
  return sections.flatMap((name) =>
    rows
      .filter((row) => row.section === name)
      .sort((a, b) => a.offset - b.offset)
      .map((row) => row.line),
  );
}

function relocationLines(object: ObjectFile): readonly string[] {
  return object.sections.flatMap((section) =>
    section.relocations.map(({ offset, type, symbol, addend }) => {
      const target = object.symbols[symbol];
      const name = target === undefined ? '?' : nameOf(object, target);
      const sum = `${addend < 0 ? '-' : '+'} ${Math.abs(addend).toString(16)}`;
      return `${section.name} ${offset.toString(16).padStart(16, '0')} ${relocationName(type)} ${name} ${sum}`;
    }),
  );
}

/** readelf gives a section symbol the name of its section. */
function nameOf(object: ObjectFile, symbol: ElfSymbol): string {
  const isSection = symbol.type === STT_SECTION && typeof symbol.place === 'number';
  return isSection ? (object.sections[Number(symbol.place)]?.name ?? '') : symbol.name;
}
