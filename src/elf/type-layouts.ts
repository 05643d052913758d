/**
 * How the types of a unit lie in memory, from its debug information: structures, unions and enumerations with a name,
 * and the types that only a variable has, under the variable's name.
 *
 * A structure without a name that is part of another is taken apart into members of that one, since that is how it is
 * laid out and how it is written (`sk.__sk_common.skc_daddr` and `sk.skc_daddr` alike). A pointer is a pointer, whatever
 * it points to: what lies there is a type of its own, or has no name and is taken apart as well (`table->first`).
 */
import { FormatError } from '../diagnostics/error.ts';
import { type DebugEntry, readDebugEntries, TAG } from './debug-entries.ts';
import { sourceFiles } from './line-table.ts';
import type { ObjectFile } from './model.ts';

export interface MemberLayout {
  /** `flags`, or with the names of what it lies in: `u.ports.source`. */
  readonly path: string;
  /** From the start of the type. */
  readonly bitOffset: number;
  /** Undefined for an array without a length. */
  readonly bitSize: number | undefined;
  /** What decides how its bits are read: `number`, `pointer`, `struct list_head`, `number[16]`. */
  readonly kind: string;
  /** As the source has it, more or less: `u32`, `struct sock *`. */
  readonly text: string;
}

export interface TypeLayout {
  /**
   * `struct sock`, `union tcp_md5_addr`, `enum bpf_reg_type`, `typedef spinlock_t`, `variable pipe_max_size`;
   * `struct key in lookup()` if only a function knows it. An enumeration without a name has its first enumerator's.
   */
  readonly name: string;
  /** Where it is declared: `include/net/sock.h`. */
  readonly file: string | undefined;
  readonly line: number | undefined;
  /** Bytes. */
  readonly size: number;
  readonly members: readonly MemberLayout[];
  /** Of an enumeration. */
  readonly enumerators: readonly { readonly name: string; readonly value: number | bigint }[];
}

/** Layouts by name; a name that is declared in several blocks of a function has several. */
export type TypeLayouts = ReadonlyMap<string, readonly TypeLayout[]>;

/** Equal layouts are one value, so that the types of a thousand units take the memory of one kernel's. */
export type LayoutPool = Map<string, TypeLayout>;

const FLOAT_ENCODINGS: ReadonlySet<number> = new Set([0x03, 0x04]);
const QUALIFIERS: ReadonlySet<number> = new Set([TAG.constant, TAG.volatile, TAG.restrict, TAG.atomic]);
const AGGREGATES: ReadonlyMap<number, string> = new Map([
  [TAG.structure, 'struct'],
  [TAG.union, 'union'],
]);

/** No type of a compiler is nested as deep; a file that is made to go in circles ends here. */
const DEPTH_LIMIT = 64;
/** Nor has one as many members, with those of all that has no name: such a file may double them at each level. */
const MEMBER_LIMIT = 100_000;

const POINTED = '->';
export const VARIABLE = 'variable ';
/** A function's parameters, in their order, and its result: what a caller has to know of it. */
export const SIGNATURE = 'function ';
const IN_FUNCTION = ' in ';

/** A type with its typedefs and qualifiers taken off. */
interface Bare {
  readonly entry: DebugEntry | undefined;
  /** The last typedef on the way: what a structure without a name is called. */
  readonly alias: string | undefined;
  /** The first: what the source calls it. */
  readonly called: string | undefined;
}

interface Shape {
  readonly kind: string;
  readonly text: string;
  /** Bytes; undefined for an array without a length. */
  readonly size: number | undefined;
}

class LayoutReader {
  readonly #entries = new Map<number, DebugEntry>();
  readonly #files: readonly string[];
  readonly #pool: LayoutPool;
  readonly #layouts = new Map<string, TypeLayout[]>();
  readonly #path: string;
  /** Members that the type at hand may still have. */
  #room = MEMBER_LIMIT;

  constructor(object: ObjectFile, entries: readonly DebugEntry[], pool: LayoutPool) {
    this.#path = object.path;
    this.#files = sourceFiles(object);
    this.#pool = pool;
    this.#index(entries);
  }

  /** `scope`: the function that they are declared in, or undefined. */
  read(entries: readonly DebugEntry[], scope?: string): TypeLayouts {
    for (const entry of entries) {
      this.#declare(entry, scope === undefined ? '' : `${IN_FUNCTION}${scope}()`);
      // A copy of an inlined function has no name, and no types: they are where it is described.
      this.read(entry.children, entry.tag === TAG.subprogram ? entry.name : scope);
    }
    return this.#layouts;
  }

  #declare(entry: DebugEntry, scope: string): void {
    const { tag, name } = entry;
    const word = AGGREGATES.get(tag);
    if (word !== undefined && name !== undefined) this.#add(`${word} ${name}${scope}`, entry, entry);
    else if (tag === TAG.enumeration) {
      const first = name ?? entry.children[0]?.name;
      if (first !== undefined) this.#add(`enum ${first}${scope}`, entry, entry);
    } else if (tag === TAG.typedef) {
      const { entry: target } = this.#bare(entry.type);
      const isNameless = target !== undefined && AGGREGATES.has(target.tag) && target.name === undefined;
      if (isNameless) this.#add(`typedef ${name}${scope}`, target, entry);
    } else if (tag === TAG.subprogram && name !== undefined && scope === '') {
      this.#addSignature(entry, `${SIGNATURE}${name}`);
    } else if (tag === TAG.variable && name !== undefined && (scope === '' || entry.isStatic)) {
      this.#addVariable(entry, `${VARIABLE}${name}${scope}`);
    }
  }

  #addSignature(subprogram: DebugEntry, name: string): void {
    if (subprogram.isDeclaration) return;
    // Those of inlined calls have no type here: it is where the function is described.
    const parameters = subprogram.children.filter(
      ({ tag, type }) => tag === TAG.parameter && type !== undefined,
    );
    const members = [
      ...parameters.map(({ type }, i) => this.#passed(`parameter ${i + 1}`, i, type)),
      this.#passed('the result', 0, subprogram.type),
    ];
    this.#remember(name, subprogram, 0, members, []);
  }

  #passed(path: string, position: number, type: number | undefined): MemberLayout {
    const { kind, text, size } = this.#shape(type);
    const { entry } = this.#bare(type);
    // What a pointer leads to is part of what is agreed on.
    const target = entry?.tag === TAG.pointer ? ` to ${this.#shape(entry.type).kind}` : '';
    const bitSize = size === undefined ? undefined : size * 8;
    return { path, bitOffset: position * 64, bitSize, kind: `${kind}${target}`, text };
  }

  /** New code has its own copy of what is constant. */
  #addVariable(variable: DebugEntry, name: string): void {
    if (this.#isConstant(variable.type)) return;
    const { size } = this.#shape(variable.type);
    const member = { ...variable, tag: TAG.member, memberOffset: 0 };
    const type = {
      ...variable,
      tag: TAG.structure,
      byteSize: size ?? 0,
      isDeclaration: false,
      children: [member],
    };
    this.#add(name, type, variable);
  }

  #isConstant(type: number | undefined): boolean {
    let entry = type === undefined ? undefined : this.#entries.get(type);
    for (let i = 0; i < DEPTH_LIMIT; i += 1) {
      if (entry === undefined || entry.tag === TAG.constant) return entry !== undefined;
      const isOn = entry.tag === TAG.typedef || entry.tag === TAG.array || QUALIFIERS.has(entry.tag);
      if (!isOn || entry.type === undefined) return false;
      entry = this.#entries.get(entry.type);
    }
    return false;
  }

  #index(entries: readonly DebugEntry[]): void {
    for (const entry of entries) {
      this.#entries.set(entry.offset, entry);
      this.#index(entry.children);
    }
  }

  #add(name: string, entry: DebugEntry, declared: DebugEntry): void {
    const isType = AGGREGATES.has(entry.tag) || entry.tag === TAG.enumeration;
    if (!isType || entry.isDeclaration || entry.byteSize === undefined) return;
    const enumerators = entry.children
      .filter(({ tag }) => tag === TAG.enumerator)
      .map((each) => ({ name: each.name ?? '', value: each.constant ?? 0 }));
    this.#room = MEMBER_LIMIT;
    this.#remember(name, declared, entry.byteSize, this.#members(entry, '', 0), enumerators);
  }

  #remember(
    name: string,
    declared: DebugEntry,
    size: number,
    members: readonly MemberLayout[],
    enumerators: TypeLayout['enumerators'],
  ): void {
    const content = JSON.stringify([
      name,
      size,
      members.map(({ path, bitOffset, bitSize, kind }) => [path, bitOffset, bitSize, kind]),
      enumerators.map((each) => [each.name, String(each.value)]),
    ]);
    const layout = this.#pool.get(content) ?? {
      name,
      file: declared.file === undefined ? undefined : this.#files[declared.file],
      line: declared.line,
      size,
      members,
      enumerators,
    };
    this.#pool.set(content, layout);
    const known = this.#layouts.get(name) ?? [];
    if (!known.includes(layout)) this.#layouts.set(name, [...known, layout]);
  }

  #members(type: DebugEntry, prefix: string, base: number, depth = 0): readonly MemberLayout[] {
    if (depth > DEPTH_LIMIT) return [];
    const list = type.children.filter(({ tag }) => tag === TAG.member);
    this.#room -= list.length;
    if (this.#room < 0) {
      throw new FormatError(
        'malformed_object',
        `${this.#path}: a type has more than ${MEMBER_LIMIT} members`,
      );
    }
    return list.flatMap((member): readonly MemberLayout[] => {
      const bitOffset = base + (member.bitOffset ?? (member.memberOffset ?? 0) * 8);
      const nameless = this.#nameless(member.type);
      const path = `${prefix}${member.name ?? ''}`;
      if (nameless !== undefined && member.name === undefined)
        return this.#members(nameless, prefix, bitOffset, depth + 1);
      const { kind, text, size } = this.#shape(member.type);
      const bitSize = member.bitSize ?? (size === undefined ? undefined : size * 8);
      const whole = { path, bitOffset, bitSize, kind, text };
      if (nameless !== undefined)
        return [whole, ...this.#members(nameless, `${path}.`, bitOffset, depth + 1)];
      const pointed = this.#pointed(member.type);
      return pointed === undefined
        ? [whole]
        : [whole, ...this.#members(pointed, `${path}${POINTED}`, 0, depth + 1)];
    });
  }

  /** The structure or union that has no name, to which something is a pointer. */
  #pointed(type: number | undefined): DebugEntry | undefined {
    let { entry } = this.#bare(type);
    for (let i = 0; i < DEPTH_LIMIT && (entry?.tag === TAG.pointer || entry?.tag === TAG.array); i += 1) {
      if (entry.tag === TAG.pointer) return this.#nameless(entry.type);
      ({ entry } = this.#bare(entry.type));
    }
    return undefined;
  }

  /** The structure or union that has no name, of which something is, or is an array. */
  #nameless(type: number | undefined, depth = 0): DebugEntry | undefined {
    const { entry, alias } = this.#bare(type);
    if (entry?.tag === TAG.array && depth < DEPTH_LIMIT) return this.#nameless(entry.type, depth + 1);
    const isNameless = entry !== undefined && AGGREGATES.has(entry.tag) && entry.name === undefined;
    return isNameless && alias === undefined ? entry : undefined;
  }

  #bare(type: number | undefined): Bare {
    let entry = type === undefined ? undefined : this.#entries.get(type);
    let alias: string | undefined;
    let called: string | undefined;
    for (let i = 0; i < DEPTH_LIMIT; i += 1) {
      if (entry === undefined || (entry.tag !== TAG.typedef && !QUALIFIERS.has(entry.tag))) break;
      if (entry.tag === TAG.typedef) {
        alias = entry.name;
        called ??= entry.name;
      }
      entry = entry.type === undefined ? undefined : this.#entries.get(entry.type);
    }
    return { entry, alias, called };
  }

  #shape(type: number | undefined, depth = 0): Shape {
    const { entry, alias, called } = this.#bare(type);
    if (entry === undefined || depth > DEPTH_LIMIT) return { kind: 'void', text: called ?? 'void', size: 0 };
    if (entry.tag === TAG.pointer) {
      const target = this.#shape(entry.type, depth + 1);
      const text = called ?? `${target.text}${target.text.endsWith('*') ? '' : ' '}*`;
      return { kind: 'pointer', text, size: entry.byteSize ?? 8 };
    }
    if (entry.tag === TAG.array) return this.#arrayShape(entry, depth);
    const word = AGGREGATES.get(entry.tag);
    if (word !== undefined) {
      const name = entry.name === undefined ? alias : `${word} ${entry.name}`;
      const kind = entry.name === undefined && alias !== undefined ? `typedef ${alias}` : (name ?? word);
      return { kind, text: called ?? name ?? word, size: entry.byteSize ?? 0 };
    }
    if (entry.tag === TAG.subroutineType) return { kind: 'function', text: called ?? 'function', size: 0 };
    const kind = FLOAT_ENCODINGS.has(entry.encoding ?? 0) ? 'float' : 'number';
    const name = entry.tag === TAG.enumeration ? `enum ${entry.name ?? ''}` : entry.name;
    return { kind, text: called ?? name ?? kind, size: entry.byteSize ?? 0 };
  }

  #arrayShape(array: DebugEntry, depth: number): Shape {
    const element = this.#shape(array.type, depth + 1);
    const lengths = array.children
      .filter(({ tag }) => tag === TAG.subrange)
      .map(({ count, upperBound }) => count ?? (upperBound === undefined ? undefined : upperBound + 1));
    const suffix = lengths.map((length) => `[${length ?? ''}]`).join('');
    const size = lengths.reduce<number | undefined>(
      (bytes, length) => (bytes === undefined || length === undefined ? undefined : bytes * length),
      element.size,
    );
    return { kind: `${element.kind}${suffix}`, text: `${element.text}${suffix}`, size };
  }
}

/**
 * The layouts of an object's types; undefined if it was compiled without debug information.
 * Throws FormatError `malformed_object`.
 */
export function readTypeLayouts(
  object: ObjectFile,
  pool: LayoutPool,
  entries: readonly DebugEntry[] | undefined = readDebugEntries(object),
): TypeLayouts | undefined {
  return entries === undefined ? undefined : new LayoutReader(object, entries, pool).read(entries);
}

/** A type of both objects that lies in memory otherwise. One layout each, unless several types have the name. */
export interface LayoutPair {
  /** Of post. */
  readonly name: string;
  readonly pre: readonly TypeLayout[];
  readonly post: readonly TypeLayout[];
}

/**
 * Both of one pool. Types that only one of them has are nobody's: they come and go with the code. But an enumeration
 * may have values of another, and a structure that went may be one that came.
 */
export function differingLayouts(pre: TypeLayouts, post: TypeLayouts): readonly LayoutPair[] {
  const come = new Map([...post].filter(([name]) => !pre.has(name)));
  return [...pre].flatMap(([name, before]): readonly LayoutPair[] => {
    const after = post.get(name);
    if (after !== undefined) return pairOf(name, before, after);
    const [only, ...others] = before;
    if (only === undefined || others.length > 0) return [];
    const successor = [...come].find(([, list]) => list.some((layout) => succeeds(layout, only)));
    return successor === undefined ? [] : pairOf(successor[0], before, successor[1]);
  });
}

function pairOf(
  name: string,
  before: readonly TypeLayout[],
  after: readonly TypeLayout[],
): readonly LayoutPair[] {
  const gone = before.filter((layout) => !after.includes(layout));
  const come = after.filter((layout) => !before.includes(layout));
  if (gone.length + come.length === 0) return [];
  if (gone.length > 0 && come.length > 0) return [{ name, pre: gone, post: come }];
  // Two blocks of a function had one layout, or have one now. Variables of one name are made by macros, and come and go.
  const isLocal = name.includes(IN_FUNCTION) && !name.startsWith(VARIABLE) && !name.startsWith(SIGNATURE);
  return isLocal
    ? [{ name, pre: gone.length > 0 ? gone : before, post: come.length > 0 ? come : after }]
    : [];
}

/** Whether a type of another name has taken a type's place, to all appearances. A file may have moved, under its name. */
function succeeds(post: TypeLayout, pre: TypeLayout): boolean {
  const baseName = ({ file }: TypeLayout): string | undefined => file?.split('/').at(-1);
  const isType = ({ name }: TypeLayout): boolean => !name.startsWith(VARIABLE) && !name.startsWith(SIGNATURE);
  if (!isType(post) || !isType(pre) || baseName(post) !== baseName(pre)) return false;
  if (pre.enumerators.length > 0) {
    const names = new Set(pre.enumerators.map(({ name }) => name));
    return post.enumerators.some(({ name }) => names.has(name));
  }
  const paths = new Set(pre.members.map(({ path }) => path));
  const shared = post.members.filter(({ path }) => paths.has(path)).length;
  return shared >= 2 && shared * 2 > Math.max(pre.members.length, post.members.length);
}
