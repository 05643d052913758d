/**
 * Reads `.debug_info` (DWARF 5, sections 2 and 7.5), as gcc leaves it in an object that is not linked: the entries that
 * say what types there are, and what variables have them.
 *
 * An entry is a number into the table of `.debug_abbrev`, which tells its kind and which attributes follow in what form.
 * So every form has to be known even where the value is of no interest: its size tells where the next one begins. Fields
 * that name a string hold nothing in an object, and a relocation tells where the string is.
 */
import { R_X86_64_32 } from './constants.ts';
import { Cursor } from './cursor.ts';
import { slebExact, toExact, uleb, ulebExact } from './leb128.ts';
import type { ObjectFile, Relocation, Section } from './model.ts';

const VERSION = 5;
const LONG_FORMAT = 0xffff_ffff;
/** Blocks in blocks; gcc has no such limit, but a source that comes near it is not written. */
const DEPTH_LIMIT = 500;
/** DW_OP_addr: the first operation of the place of what is not on a stack or in a register. */
const ADDRESS = 0x03;
const EXPRESSION = 0x18;
/** DW_UT_compile. */
const COMPILE_UNIT = 1;

/** DW_TAG_*, those that are kept. */
export const TAG = {
  array: 0x01,
  enumeration: 0x04,
  parameter: 0x05,
  member: 0x0d,
  pointer: 0x0f,
  structure: 0x13,
  subroutineType: 0x15,
  typedef: 0x16,
  union: 0x17,
  subrange: 0x21,
  base: 0x24,
  constant: 0x26,
  enumerator: 0x28,
  subprogram: 0x2e,
  variable: 0x34,
  volatile: 0x35,
  restrict: 0x37,
  atomic: 0x47,
} as const;

const KEPT: ReadonlySet<number> = new Set(Object.values(TAG));

/** One entry; an attribute that it does not have is undefined. Sizes and offsets as the format has them. */
export interface DebugEntry {
  /** Where it begins in the section: how others name it. */
  readonly offset: number;
  readonly tag: number;
  readonly name: string | undefined;
  /** Bytes. */
  readonly byteSize: number | undefined;
  /** Bits; only a bit-field has it. */
  readonly bitSize: number | undefined;
  /** Bits from the start of the structure; only a bit-field has it. */
  readonly bitOffset: number | undefined;
  /** Bytes from the start of the structure. */
  readonly memberOffset: number | undefined;
  /** The offset of another entry. */
  readonly type: number | undefined;
  readonly encoding: number | undefined;
  /** Of an array: the number of its last element, or how many there are. */
  readonly upperBound: number | undefined;
  readonly count: number | undefined;
  /** Of an enumerator; a bigint from 2^53 on. */
  readonly constant: number | bigint | undefined;
  readonly isDeclaration: boolean;
  /** Of a variable: it has an address of its own. */
  readonly isStatic: boolean;
  readonly file: number | undefined;
  readonly line: number | undefined;
  readonly children: readonly DebugEntry[];
}

type Field = Exclude<keyof DebugEntry, 'offset' | 'tag' | 'children'>;
/** Undefined: there is no such attribute. Null: there is, in a form that is skipped. */
type Value = string | number | bigint | boolean | undefined | null;
type Fields = Record<Field, Value>;

/** DW_AT_*, and the field that it fills. */
const FIELD: ReadonlyMap<number, Field> = new Map([
  [0x02, 'isStatic'],
  [0x03, 'name'],
  [0x0b, 'byteSize'],
  [0x0d, 'bitSize'],
  [0x1c, 'constant'],
  [0x2f, 'upperBound'],
  [0x37, 'count'],
  [0x38, 'memberOffset'],
  [0x3a, 'file'],
  [0x3b, 'line'],
  [0x3c, 'isDeclaration'],
  [0x3e, 'encoding'],
  [0x49, 'type'],
  [0x6b, 'bitOffset'],
] as const);

interface Attribute {
  readonly field: Field | undefined;
  readonly form: number;
  /** The value itself, where the form is DW_FORM_implicit_const. */
  readonly constant: number | bigint;
}

interface Abbreviation {
  readonly tag: number;
  readonly hasChildren: boolean;
  readonly attributes: readonly Attribute[];
}

const IMPLICIT_CONST = 0x21;

function sectionNamed(object: ObjectFile, name: string): Section | undefined {
  return object.sections.find((section) => section.name === name);
}

function readAbbreviations(object: ObjectFile): ReadonlyMap<number, Abbreviation> {
  const section = sectionNamed(object, '.debug_abbrev');
  const cursor = new Cursor(section?.data ?? new Uint8Array(), `${object.path}: .debug_abbrev`);
  const known = new Map<number, Abbreviation>();
  for (let code = uleb(cursor, 'code'); code !== 0; code = uleb(cursor, 'code')) {
    const tag = uleb(cursor, 'tag');
    const hasChildren = cursor.u8('children') !== 0;
    const attributes: Attribute[] = [];
    for (;;) {
      const name = uleb(cursor, 'attribute');
      const form = uleb(cursor, 'form');
      if (name === 0 && form === 0) break;
      const constant = form === IMPLICIT_CONST ? slebExact(cursor, 'constant') : 0;
      attributes.push({ field: FIELD.get(name), form, constant });
    }
    known.set(code, { tag, hasChildren, attributes });
  }
  return known;
}

const NO_FIELDS: Fields = {
  name: undefined,
  byteSize: undefined,
  bitSize: undefined,
  bitOffset: undefined,
  memberOffset: undefined,
  type: undefined,
  encoding: undefined,
  upperBound: undefined,
  count: undefined,
  constant: undefined,
  isDeclaration: undefined,
  isStatic: undefined,
  file: undefined,
  line: undefined,
};

const asNumber = (value: Value): number | undefined => (typeof value === 'number' ? value : undefined);

class EntryReader {
  readonly #object: ObjectFile;
  readonly #cursor: Cursor;
  readonly #relocations: readonly Relocation[];
  readonly #abbreviations: ReadonlyMap<number, Abbreviation>;
  readonly #strings = new Map<number, string>();
  #nextRelocation = 0;

  constructor(object: ObjectFile, info: Section) {
    this.#object = object;
    this.#cursor = new Cursor(info.data, `${object.path}: ${info.name}`);
    this.#relocations = info.relocations;
    this.#abbreviations = readAbbreviations(object);
  }

  /** The kept entries of the section's only unit. */
  read(): readonly DebugEntry[] {
    const cursor = this.#cursor;
    const length = cursor.u32('unit length');
    if (length === LONG_FORMAT) cursor.fail('the unit has the 64-bit format, which is not known here', 0);
    if (cursor.position + length !== cursor.bytes.length) {
      cursor.fail(
        `the unit has ${length} bytes, the section ${cursor.bytes.length - 4}: expected one unit`,
        0,
      );
    }
    const version = cursor.u16('version');
    const kind = cursor.u8('unit type');
    if (version !== VERSION || kind !== COMPILE_UNIT) {
      cursor.fail(`unit of version ${version} and type ${kind}, expected ${VERSION} and ${COMPILE_UNIT}`, 0);
    }
    cursor.skip(1 + 4);
    return this.#siblings(0);
  }

  /**
   * Entries up to the end of the list. Those that are not kept (blocks, inlined calls) have children that may be:
   * a function's own types and variables; these come in their place.
   */
  #siblings(depth: number): readonly DebugEntry[] {
    const cursor = this.#cursor;
    const found: DebugEntry[] = [];
    if (depth > DEPTH_LIMIT) cursor.fail(`entries are nested more than ${DEPTH_LIMIT} deep`);
    for (;;) {
      // The unit's own entry has no end mark behind it.
      if (depth === 0 && cursor.position === cursor.bytes.length) break;
      const offset = cursor.position;
      const code = uleb(cursor, 'abbreviation');
      if (code === 0) break;
      const abbreviation = this.#abbreviations.get(code);
      if (abbreviation === undefined)
        return cursor.fail(`abbreviation ${code} is not in .debug_abbrev`, offset);
      const fields = this.#fields(abbreviation);
      const children = abbreviation.hasChildren ? this.#siblings(depth + 1) : [];
      if (!KEPT.has(abbreviation.tag)) for (const child of children) found.push(child);
      else found.push(this.#entry(offset, abbreviation.tag, fields, children));
    }
    return found;
  }

  #fields({ attributes }: Abbreviation): Fields {
    const fields: Fields = { ...NO_FIELDS };
    for (const { field, form, constant } of attributes) {
      const start = this.#cursor.position;
      const value = this.#value(form, constant);
      if (field === undefined) continue;
      // An address and its operation are nine bytes, so one byte tells the length.
      const isStatic = form === EXPRESSION && this.#cursor.bytes[start + 1] === ADDRESS;
      fields[field] = field === 'isStatic' ? isStatic : value;
    }
    return fields;
  }

  #entry(offset: number, tag: number, fields: Fields, children: readonly DebugEntry[]): DebugEntry {
    const { name, memberOffset } = fields;
    if (memberOffset === null) this.#cursor.fail(`the place of member ${name} is not a number`, offset);
    return {
      offset,
      tag,
      name: typeof name === 'string' ? name : undefined,
      byteSize: asNumber(fields.byteSize),
      bitSize: asNumber(fields.bitSize),
      bitOffset: asNumber(fields.bitOffset),
      memberOffset: asNumber(memberOffset),
      type: asNumber(fields.type),
      encoding: asNumber(fields.encoding),
      upperBound: asNumber(fields.upperBound),
      count: asNumber(fields.count),
      constant: typeof fields.constant === 'bigint' ? fields.constant : asNumber(fields.constant),
      isDeclaration: fields.isDeclaration === true,
      isStatic: fields.isStatic === true,
      file: asNumber(fields.file),
      line: asNumber(fields.line),
      children,
    };
  }

  /** Reads a value, or skips one that nobody asks for, null: addresses, expressions, places in other sections. */
  #value(form: number, constant: number | bigint): Value {
    const cursor = this.#cursor;
    switch (form) {
      case 0x01: // addr
      case 0x20: // ref_sig8
        return this.#skip(8);
      case 0x03: // block2
        return this.#skip(cursor.u16('block'));
      case 0x04: // block4
        return this.#skip(cursor.u32('block'));
      case 0x05: // data2
      case 0x12: // ref2
        return cursor.u16('value');
      case 0x06: // data4
      case 0x13: // ref4
        return cursor.u32('value');
      case 0x07: // data8
        return toExact(cursor.u64('value'));
      case 0x08: // string
        return text(cursor, 'name');
      case 0x09: // block
      case EXPRESSION: // exprloc
        return this.#skip(uleb(cursor, 'block'));
      case 0x0a: // block1
        return this.#skip(cursor.u8('block'));
      case 0x0b: // data1
      case 0x11: // ref1
        return cursor.u8('value');
      case 0x0c: // flag
        return cursor.u8('flag') !== 0;
      case 0x0d: // sdata
        return slebExact(cursor, 'value');
      case 0x0e: // strp
        return this.#string('.debug_str');
      case 0x0f: // udata
      case 0x15: // ref_udata
      case 0x1b: // addrx
      case 0x22: // loclistx
      case 0x23: // rnglistx
        return ulebExact(cursor, 'value');
      case 0x17: // sec_offset
        return this.#skip(4);
      case 0x19: // flag_present
        return true;
      case 0x1e: // data16
        return this.#skip(16);
      case 0x1f: // line_strp
        return this.#string('.debug_line_str');
      case IMPLICIT_CONST:
        return constant;
      default:
        return cursor.fail(`an attribute has the form ${form}, which is not known here`);
    }
  }

  #skip(size: number): null {
    const cursor = this.#cursor;
    const left = cursor.bytes.length - cursor.position;
    if (size > left) cursor.fail(`a value has ${size} bytes, ${left} are left`);
    cursor.skip(size);
    return null;
  }

  #string(section: string): string {
    const cursor = this.#cursor;
    const relocation = this.#relocationAt(cursor.position);
    const plain = cursor.u32('place of a string');
    const symbol = relocation === undefined ? undefined : this.#object.symbols[relocation.symbol];
    const place =
      typeof symbol?.place === 'number' && relocation?.type === R_X86_64_32
        ? { section: this.#object.sections[symbol.place], offset: Number(symbol.value) + relocation.addend }
        : { section: sectionNamed(this.#object, section), offset: plain };
    if (place.section?.name !== section || place.offset < 0)
      return cursor.fail(`a name does not lie in ${section}`);
    const known = section === '.debug_str' ? this.#strings.get(place.offset) : undefined;
    if (known !== undefined) return known;
    const name = text(
      new Cursor(place.section.data, `${this.#object.path}: ${section}`, place.offset),
      'name',
    );
    if (section === '.debug_str') this.#strings.set(place.offset, name);
    return name;
  }

  /** Entries are read in the order of their offsets, and so are the relocations. */
  #relocationAt(offset: number): Relocation | undefined {
    const list = this.#relocations;
    while ((list[this.#nextRelocation]?.offset ?? offset) < offset) this.#nextRelocation += 1;
    const next = list[this.#nextRelocation];
    return next?.offset === offset ? next : undefined;
  }
}

function text(cursor: Cursor, what: string): string {
  const { bytes, position } = cursor;
  const end = bytes.indexOf(0, position);
  if (end < 0) return cursor.fail(`${what} does not end`);
  cursor.seek(end + 1);
  return Buffer.from(bytes.subarray(position, end)).toString('utf8');
}

/**
 * Entries of an object that was compiled with -g from one source; undefined if it has no debug information.
 * Throws FormatError `malformed_object`.
 */
export function readDebugEntries(object: ObjectFile): readonly DebugEntry[] | undefined {
  const info = sectionNamed(object, '.debug_info');
  return info === undefined ? undefined : new EntryReader(object, info).read();
}
