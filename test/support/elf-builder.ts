/**
 * Builds an object in a test from short records, so that a reader of the test sees the whole object:
 *
 *     buildObject({
 *       sections: { '.text': { bytes: [0xe8, 0, 0, 0, 0], relocations: [[1, 'PLT32', 'printk', -4]] } },
 *       symbols: { show: { section: '.text', type: 'func', size: 5 } },
 *     })
 *
 * Sections and symbols are keyed by name. What a relocation names and the records do not define is made:
 * a section symbol for a section's name, else an undefined global symbol. Misuse is thrown, not written.
 */
import {
  relocationFieldSize,
  relocationName,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_MERGE,
  SHF_STRINGS,
  SHF_WRITE,
  SHT_NOBITS,
  SHT_PROGBITS,
  STB_GLOBAL,
  STB_LOCAL,
  STB_WEAK,
  STT_FUNC,
  STT_NOTYPE,
  STT_OBJECT,
  STT_SECTION,
  STV_DEFAULT,
} from '../../src/elf/constants.ts';
import type { ObjectImage, RelocationImage, SectionImage, SymbolImage } from '../../src/elf/image.ts';
import type { ObjectFile } from '../../src/elf/model.ts';
import { readObject } from '../../src/elf/read-object.ts';
import { writeObject } from '../../src/elf/write-object.ts';

/** Offset, type without `R_X86_64_`, name of a symbol or section, addend (0 if left out). */
export type RelocationRecord = readonly [offset: number, type: string, symbol: string, addend?: number];

export interface SectionRecord {
  /** Contents; for a section without bytes in the file, `size` instead. */
  readonly bytes?: readonly number[] | Uint8Array;
  readonly size?: number;
  /** SHT_*; SHT_PROGBITS, or SHT_NOBITS with `size`. */
  readonly type?: number;
  /** SHF_*; by the section's name, as the assembler does. */
  readonly flags?: number;
  readonly alignment?: number;
  readonly entrySize?: number;
  readonly relocations?: readonly RelocationRecord[];
}

export interface SymbolRecord {
  /** Name of the section; without one the symbol is undefined, or absolute if it has a value. */
  readonly section?: string;
  readonly value?: bigint | number;
  readonly size?: number;
  /** Without one: local for a defined symbol, else global. */
  readonly binding?: 'local' | 'global' | 'weak';
  readonly type?: 'notype' | 'func' | 'object' | 'section';
  readonly visibility?: number;
}

export interface ObjectRecord {
  readonly sections: Readonly<Record<string, SectionRecord>>;
  readonly symbols?: Readonly<Record<string, SymbolRecord>>;
}

const bindings = { local: STB_LOCAL, global: STB_GLOBAL, weak: STB_WEAK } as const;
const types = { notype: STT_NOTYPE, func: STT_FUNC, object: STT_OBJECT, section: STT_SECTION } as const;

/** The records as an object that has been written and read back. */
export function buildObject(record: ObjectRecord, path = 'test.o'): ObjectFile {
  return readObject(writeObject(buildImage(record)), path);
}

/** The records as an image. */
export function buildImage(record: ObjectRecord): ObjectImage {
  const sectionNames = Object.keys(record.sections);
  const given = Object.entries(record.symbols ?? {});
  const symbols = given.map(([name, symbol]) => symbolImage(name, symbol, sectionNames));
  const positions = new Map(given.map(([name], i) => [name, i]));

  const symbolPosition = (name: string): number => {
    const known = positions.get(name);
    if (known !== undefined) return known;
    const section = sectionNames.indexOf(name);
    const made: SymbolImage =
      section < 0
        ? symbolImage(name, {}, sectionNames)
        : { ...symbolImage('', { section: name, type: 'section' }, sectionNames) };
    const position = symbols.push(made) - 1;
    positions.set(name, position);
    return position;
  };
  const sections = Object.entries(record.sections).map(([name, section]) =>
    sectionImage(name, section, symbolPosition),
  );
  return { sections, symbols };
}

function sectionImage(
  name: string,
  record: SectionRecord,
  symbolPosition: (name: string) => number,
): SectionImage {
  const { bytes = [], size } = record;
  if (size !== undefined && record.bytes !== undefined) {
    throw new Error(`${name}: give bytes or a size, not both`);
  }
  const flags = record.flags ?? flagsByName(name);
  const length = size ?? bytes.length;
  const relocations = (record.relocations ?? []).map(
    ([offset, type, symbol, addend = 0]): RelocationImage => {
      const number = relocationByName(type);
      if (offset < 0 || offset + relocationFieldSize(number) > length) {
        throw new Error(`${name}: relocation ${type} at ${offset} is not within ${length} bytes`);
      }
      return { offset, type: number, symbol: symbolPosition(symbol), addend };
    },
  );
  return {
    name,
    type: record.type ?? (size === undefined ? SHT_PROGBITS : SHT_NOBITS),
    flags,
    alignment: record.alignment ?? 1,
    entrySize: record.entrySize ?? ((flags & SHF_STRINGS) === 0 ? 0 : 1),
    contents: size ?? Uint8Array.from(bytes),
    relocations,
  };
}

function symbolImage(name: string, record: SymbolRecord, sectionNames: readonly string[]): SymbolImage {
  const { section, value = 0n } = record;
  const position = section === undefined ? undefined : sectionNames.indexOf(section);
  if (position === -1) throw new Error(`symbol ${name}: there is no section ${section}`);
  const place = position ?? (record.value === undefined ? 'undefined' : 'absolute');
  const binding = record.binding ?? (place === 'undefined' && name !== '' ? 'global' : 'local');
  if (place === 'undefined' && binding === 'local') throw new Error(`symbol ${name}: undefined and local`);
  return {
    name,
    value: BigInt(value),
    size: record.size ?? 0,
    binding: bindings[binding],
    type: types[record.type ?? 'notype'],
    visibility: record.visibility ?? STV_DEFAULT,
    place,
  };
}

function flagsByName(name: string): number {
  if (/^\.(init\.|exit\.|ref\.|noinstr\.|entry\.|sched\.|cpuidle\.|kprobes\.)?text\b/.test(name)) {
    return SHF_ALLOC | SHF_EXECINSTR;
  }
  if (/^\.rodata.*\.str\d/.test(name)) return SHF_ALLOC | SHF_MERGE | SHF_STRINGS;
  if (/^\.(data|bss)\b/.test(name)) return SHF_ALLOC | SHF_WRITE;
  if (/^\.(debug|comment)/.test(name)) return 0;
  return SHF_ALLOC;
}

function relocationByName(name: string): number {
  for (let type = 0; type < 64; type++) {
    if (relocationName(type) === `R_X86_64_${name}`) return type;
  }
  throw new Error(`there is no relocation R_X86_64_${name}`);
}
