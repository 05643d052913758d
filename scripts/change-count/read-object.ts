/**
 * An object file as readelf and objdump print it: sections that are loaded, what is in them, and what they refer to.
 *
 * Everything is read from text that others' programs printed, so that a mistake in our own reader cannot be made here a
 * second time.
 */
import { runTool } from './run-tool.ts';

export interface ObjectSection {
  readonly index: number;
  readonly name: string;
  readonly size: number;
  /** Of equal strings or constants only one is kept (SHF_MERGE): they are compared where they are referred to. */
  readonly isMerged: boolean;
  /** Empty for what has no contents in the file (`.bss`). */
  readonly bytes: Buffer;
  readonly references: readonly Reference[];
}

export interface Reference {
  /** In the section. */
  readonly offset: number;
  /** `R_X86_64_PC32` */
  readonly type: string;
  readonly symbol: ObjectSymbol;
  readonly addend: number;
}

export interface ObjectSymbol {
  /** Empty for that of a section. */
  readonly name: string;
  readonly value: number;
  /** Index of its section; undefined for symbols of other objects and for absolute ones. */
  readonly section: number | undefined;
}

/** Sections by index; those that are not loaded (debug information, notes of the linker) are left out. */
export type ObjectText = ReadonlyMap<number, ObjectSection>;

/** Throws when readelf or objdump fail. */
export async function readObject(file: string): Promise<ObjectText> {
  const [sections, symbols, relocations, contents] = await Promise.all([
    runTool(['readelf', '-SW', file]),
    runTool(['readelf', '-sW', file]),
    runTool(['readelf', '-rW', file]),
    runTool(['objdump', '-s', file]),
  ]);
  return parseObject({ sections, symbols, relocations, contents });
}

/** What the four commands above print. */
export interface PrintedObject {
  readonly sections: string;
  readonly symbols: string;
  readonly relocations: string;
  readonly contents: string;
}

export function parseObject({ sections, symbols, relocations, contents }: PrintedObject): ObjectText {
  const headers = parseSections(sections);
  const dumps = parseContents(contents);
  const references = parseReferences(relocations, headers, parseSymbols(symbols));
  return new Map(
    headers
      .filter(({ flags }) => flags.includes('A'))
      .map(({ index, name, size, flags, type }) => {
        // objdump does not number sections: those of one name come in the order of the file.
        const bytes = type === 'NOBITS' || size === 0 ? Buffer.alloc(0) : dumps.get(name)?.shift();
        if (bytes?.length !== (type === 'NOBITS' ? 0 : size)) {
          throw new Error(`${name}: ${size} bytes, and objdump prints ${bytes?.length ?? 'none'}`);
        }
        return [
          index,
          {
            index,
            name,
            size,
            isMerged: flags.includes('M'),
            bytes,
            references: references.get(index) ?? [],
          },
        ];
      }),
  );
}

interface Header {
  readonly index: number;
  readonly name: string;
  readonly type: string;
  readonly size: number;
  readonly flags: string;
  /** For relocations: index of the section that they are of. */
  readonly info: number;
}

/** `  [ 5] .text.foo  PROGBITS  0000000000000000 000040 00001f 00  AX  0   0 16`; a name may be empty. */
function parseSections(text: string): readonly Header[] {
  const line =
    /^ {2}\[ *(\d+)\] (\S*) +(\S+) +[0-9a-f]{16} [0-9a-f]+ ([0-9a-f]+) [0-9a-f]+ +([A-Za-z]*) +\d+ +(\d+) +\d+$/gm;
  return [...text.matchAll(line)].map(([, index, name = '', type = '', size = '', flags = '', info]) => ({
    index: Number(index),
    name,
    type,
    size: Number.parseInt(size, 16),
    flags,
    info: Number(info),
  }));
}

/** `    12: 0000000000000000    31 FUNC    LOCAL  DEFAULT    5 foo` */
function parseSymbols(text: string): ReadonlyMap<number, ObjectSymbol> {
  const line = /^ +(\d+): ([0-9a-f]{16}) +\S+ (\S+) +\S+ +\S+ +(?:\[.*\] +)?(\S+)(?: (\S+))?/gm;
  return new Map(
    [...text.matchAll(line)].map(([, index, value = '', type, section = '', name = '']) => [
      Number(index),
      {
        name: type === 'SECTION' ? '' : name,
        value: Number.parseInt(value, 16),
        section: /^\d+$/.test(section) ? Number(section) : undefined,
      },
    ]),
  );
}

/**
 * A table for each section, in the order of the headers; in it
 * `0000000000000001  0000002a00000004 R_X86_64_PLT32         0000000000000000 __fentry__ - 4`.
 */
function parseReferences(
  text: string,
  headers: readonly Header[],
  symbols: ReadonlyMap<number, ObjectSymbol>,
): ReadonlyMap<number, readonly Reference[]> {
  const tables = text.split(/^Relocation section /m).slice(1);
  const owners = headers.filter(({ type, size }) => type === 'RELA' && size > 0);
  if (tables.length !== owners.length) {
    throw new Error(`${owners.length} sections of relocations, and readelf prints ${tables.length}`);
  }
  const line =
    /^([0-9a-f]{16}) {2}([0-9a-f]{8})[0-9a-f]{8} (\S+) +(?:[0-9a-f]{16} +\S*)?(?: ?([+-]) ([0-9a-f]+))?$/gm;
  return new Map(
    owners.map(({ info }, at) => [
      info,
      [...(tables[at] ?? '').matchAll(line)].map(
        ([, offset = '', index = '', type = '', sign, addend = '0']) => ({
          offset: Number.parseInt(offset, 16),
          type,
          symbol: symbols.get(Number.parseInt(index, 16)) ?? { name: '', value: 0, section: undefined },
          addend: Number.parseInt(addend, 16) * (sign === '-' ? -1 : 1),
        }),
      ),
    ]),
  );
}

/** ` 0010 48894c24 184c8944 24204c89 4c244848  H.L$.L.D$ L.L$HH` behind `Contents of section .text.foo:`. */
function parseContents(text: string): Map<string, Buffer[]> {
  const dumps = new Map<string, Buffer[]>();
  for (const part of text.split(/^Contents of section /m).slice(1)) {
    const name = part.slice(0, part.indexOf(':\n'));
    const hex = [...part.matchAll(/^ [0-9a-f]+ ((?:[0-9a-f]{2,8} ){1,4}) /gm)].map(([, words = '']) => words);
    const known = dumps.get(name) ?? [];
    known.push(Buffer.from(hex.join('').replaceAll(' ', ''), 'hex'));
    dumps.set(name, known);
  }
  return dumps;
}
