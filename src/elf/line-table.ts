/**
 * Which source line an instruction was compiled from: the line number program in `.debug_line` (DWARF 5, section 6.2),
 * as gcc and the assembler leave it in an object that is not linked.
 *
 * It is a program for a machine with few registers (address, file, line), which makes a row wherever an
 * instruction begins a new line. The address is set by a relocation, which names the section. Who asks about one
 * place runs the program until the row that covers it, and nothing is kept.
 */
import { R_X86_64_32, R_X86_64_64 } from './constants.ts';
import { Cursor } from './cursor.ts';
import { sleb, uleb } from './leb128.ts';
import type { ObjectFile, Relocation, Section, SectionIndex } from './model.ts';

export interface SourceLine {
  /** As the compiler named it: `net/ipv4/ip_options.c`. */
  readonly file: string;
  readonly line: number;
}

/** A line, and the code that was compiled from it: bytes [from, to) of a section. */
export interface LineRow extends SourceLine {
  readonly from: number;
  readonly to: number;
}

const VERSION = 5;
const LONG_FORMAT = 0xffff_ffff;

/** DW_LNCT_*: what a field of a file's or directory's record is. */
const CONTENT_PATH = 1;
const CONTENT_DIRECTORY = 2;

/** DW_LNS_*: standard opcodes. */
const COPY = 1;
const ADVANCE_PC = 2;
const ADVANCE_LINE = 3;
const SET_FILE = 4;
const CONST_ADD_PC = 8;
const FIXED_ADVANCE_PC = 9;
/** DW_LNE_*: extended ones, behind a zero and their length. */
const END_SEQUENCE = 1;
const SET_ADDRESS = 2;

interface Header {
  /** Where the program begins and ends, in the section. */
  readonly start: number;
  readonly end: number;
  readonly minimumLength: number;
  readonly lineBase: number;
  readonly lineRange: number;
  /** The first special opcode. */
  readonly opcodeBase: number;
  /** How many operands each standard opcode has, from 1 on. */
  readonly operands: readonly number[];
  readonly files: readonly string[];
}

/** Reads the programs of one object. */
class LineReader {
  readonly #object: ObjectFile;
  readonly #section: Section;
  readonly #relocations: ReadonlyMap<number, Relocation>;

  constructor(object: ObjectFile, section: Section) {
    this.#object = object;
    this.#section = section;
    this.#relocations = new Map(section.relocations.map((each) => [each.offset, each]));
  }

  /** Hands over every row that covers code, in the order of the program, until `visit` says that it has enough. */
  walk(visit: (section: SectionIndex, row: LineRow) => boolean): void {
    const cursor = new Cursor(this.#section.data, `${this.#object.path}: ${this.#section.name}`);
    while (cursor.position < this.#section.size) {
      const header = this.#header(cursor);
      if (header === undefined || this.#run(cursor, header, visit)) return;
      cursor.seek(header.end);
    }
  }

  /** The files that the first program names, by their numbers. */
  files(): readonly string[] {
    const cursor = new Cursor(this.#section.data, `${this.#object.path}: ${this.#section.name}`);
    return this.#section.size === 0 ? [] : (this.#header(cursor)?.files ?? []);
  }

  /** Undefined for one of another version, of which nothing is known, where the next one begins neither. */
  #header(cursor: Cursor): Header | undefined {
    const length = cursor.u32('unit length');
    const end = cursor.position + length;
    if (length === LONG_FORMAT || cursor.u16('version') !== VERSION) return undefined;
    if (end > this.#section.size) cursor.fail(`unit ends behind the section`);
    cursor.skip(2);
    const start = cursor.u32('header length') + cursor.position;
    const minimumLength = cursor.u8('minimum instruction length');
    cursor.skip(2);
    const lineBase = (cursor.u8('line base') << 24) >> 24;
    const lineRange = cursor.u8('line range');
    const opcodeBase = cursor.u8('opcode base');
    if (lineRange === 0 || opcodeBase === 0) cursor.fail('line range or opcode base is 0');
    const operands = Array.from({ length: opcodeBase - 1 }, () => cursor.u8('operand count'));
    const directories = this.#records(cursor, 'directory').map(({ path }) => path);
    const files = this.#records(cursor, 'file').map(({ path, directory }) => {
      const parent = directories[directory] ?? '';
      return path.startsWith('/') || parent === '' || parent === '.' ? path : `${parent}/${path}`;
    });
    return { start, end, minimumLength, lineBase, lineRange, opcodeBase, operands, files };
  }

  /** Records of files or directories: their fields are told before them. */
  #records(cursor: Cursor, what: string): readonly { readonly path: string; readonly directory: number }[] {
    const fields = Array.from({ length: cursor.u8(`${what} fields`) }, () => ({
      content: uleb(cursor, `${what} field`),
      form: uleb(cursor, `${what} form`),
    }));
    const records: { readonly path: string; readonly directory: number }[] = [];
    const count = uleb(cursor, `${what} count`);
    for (let i = 0; i < count; i += 1) {
      let [path, directory] = ['', 0];
      for (const { content, form } of fields) {
        const value = this.#value(cursor, form, what);
        if (content === CONTENT_PATH) path = String(value);
        if (content === CONTENT_DIRECTORY) directory = Number(value);
      }
      records.push({ path, directory });
    }
    return records;
  }

  /** DW_FORM_*, of those that these records have. */
  #value(cursor: Cursor, form: number, what: string): string | number {
    switch (form) {
      case 0x08:
        return text(cursor, what);
      case 0x0b:
        return cursor.u8(what);
      case 0x05:
        return cursor.u16(what);
      case 0x06:
        return cursor.u32(what);
      case 0x0f:
        return uleb(cursor, what);
      case 0x1e:
        cursor.skip(16);
        return 0;
      case 0x1f: {
        const at = cursor.position;
        const offset = cursor.u32(what);
        return this.#lineString(this.#relocations.get(at), offset, cursor);
      }
      default:
        return cursor.fail(`${what} has the form ${form}, which is not known here`);
    }
  }

  #lineString(relocation: Relocation | undefined, plain: number, cursor: Cursor): string {
    const symbol = relocation === undefined ? undefined : this.#object.symbols[relocation.symbol];
    const named = this.#object.sections.find(({ name }) => name === '.debug_line_str');
    const section = typeof symbol?.place === 'number' ? this.#object.sections[symbol.place] : named;
    const offset = relocation?.type === R_X86_64_32 ? Number(symbol?.value ?? 0n) + relocation.addend : plain;
    if (section === undefined) return cursor.fail('there is no .debug_line_str');
    return text(new Cursor(section.data, `${this.#object.path}: ${section.name}`, offset), 'path');
  }

  /** Runs a program; true if it was ended by `visit`. */
  #run(cursor: Cursor, header: Header, visit: (section: SectionIndex, row: LineRow) => boolean): boolean {
    const { minimumLength, lineBase, lineRange, opcodeBase, operands, files } = header;
    let state = START;
    let before: State | undefined;
    /** A row: it covers what is from the one before it up to here. */
    const row = (): boolean => {
      const last = before;
      before = state;
      if (last?.section === undefined || last.address >= state.address) return false;
      const file = files[last.file] ?? '?';
      return visit(last.section, { from: last.address, to: state.address, file, line: last.line });
    };
    const advance = (instructions: number): void => {
      state = { ...state, address: state.address + instructions * minimumLength };
    };
    cursor.seek(header.start);
    while (cursor.position < header.end) {
      const opcode = cursor.u8('opcode');
      let ended = false;
      if (opcode >= opcodeBase) {
        const special = opcode - opcodeBase;
        advance(Math.floor(special / lineRange));
        state = { ...state, line: state.line + lineBase + (special % lineRange) };
        ended = row();
      } else if (opcode === 0) {
        const end = uleb(cursor, 'length') + cursor.position;
        const extended = cursor.u8('extended opcode');
        if (extended === END_SEQUENCE) {
          ended = row();
          [state, before] = [START, undefined];
        } else if (extended === SET_ADDRESS) {
          state = { ...state, ...this.#place(cursor) };
        }
        cursor.seek(end);
      } else if (opcode === COPY) {
        ended = row();
      } else if (opcode === ADVANCE_PC) {
        advance(uleb(cursor, 'advance'));
      } else if (opcode === ADVANCE_LINE) {
        state = { ...state, line: state.line + sleb(cursor, 'lines') };
      } else if (opcode === SET_FILE) {
        state = { ...state, file: uleb(cursor, 'file') };
      } else if (opcode === CONST_ADD_PC) {
        advance(Math.floor((255 - opcodeBase) / lineRange));
      } else if (opcode === FIXED_ADVANCE_PC) {
        state = { ...state, address: state.address + cursor.u16('advance') };
      } else {
        for (let i = 0; i < (operands[opcode - 1] ?? 0); i += 1) uleb(cursor, 'operand');
      }
      if (ended) return true;
    }
    return false;
  }

  /** DW_LNE_set_address: the field itself is 0 in an object, and its relocation tells. */
  #place(cursor: Cursor): Pick<State, 'section' | 'address'> {
    const relocation = this.#relocations.get(cursor.position);
    const symbol = relocation === undefined ? undefined : this.#object.symbols[relocation.symbol];
    if (relocation?.type !== R_X86_64_64 || typeof symbol?.place !== 'number') {
      return { section: undefined, address: 0 };
    }
    return { section: symbol.place, address: Number(symbol.value) + relocation.addend };
  }
}

interface State {
  readonly section: SectionIndex | undefined;
  /** Offset in the section. */
  readonly address: number;
  readonly file: number;
  readonly line: number;
}

const START: State = { section: undefined, address: 0, file: 1, line: 1 };

function text(cursor: Cursor, what: string): string {
  const start = cursor.position;
  let size = 0;
  while (cursor.u8(what) !== 0) size += 1;
  return Buffer.from(cursor.view(start, size, what)).toString('utf8');
}

/**
 * The source line of an offset in a section of code; undefined where the object does not say, or in another
 * version of the format. Throws FormatError `malformed_object`.
 */
export function sourceLineAt(
  object: ObjectFile,
  section: SectionIndex,
  offset: number,
): SourceLine | undefined {
  const lines = object.sections.find(({ name }) => name === '.debug_line');
  let found: SourceLine | undefined;
  if (lines !== undefined) {
    new LineReader(object, lines).walk((at, { from, to, file, line }) => {
      if (at === section && from <= offset && offset < to) found = { file, line };
      return found !== undefined;
    });
  }
  return found;
}

/**
 * All lines of an object's code, by section, in the order of their offsets; nothing where it does not say, or in
 * another version of the format. Throws FormatError `malformed_object`.
 */
export function readLineRows(object: ObjectFile): ReadonlyMap<SectionIndex, readonly LineRow[]> {
  const lines = object.sections.find(({ name }) => name === '.debug_line');
  const rows = new Map<SectionIndex, LineRow[]>();
  if (lines === undefined) return rows;
  new LineReader(object, lines).walk((section, row) => {
    const known = rows.get(section);
    if (known === undefined) rows.set(section, [row]);
    else known.push(row);
    return false;
  });
  for (const list of rows.values()) list.sort((a, b) => a.from - b.from);
  return rows;
}

/**
 * The source files of an object with one compilation unit, by the numbers that DW_AT_decl_file has; empty where
 * it does not say. Throws FormatError `malformed_object`.
 */
export function sourceFiles(object: ObjectFile): readonly string[] {
  const lines = object.sections.find(({ name }) => name === '.debug_line');
  return lines === undefined ? [] : new LineReader(object, lines).files();
}
