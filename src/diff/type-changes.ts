/**
 * Types that lie in memory otherwise after the patch. New code reads what old code has written, so an object that
 * exists when the update is applied would be read at the wrong places. The machine code cannot show that: it holds an
 * offset, and not whose. The debug information of both builds does.
 */
import {
  type LayoutPair,
  type MemberLayout,
  SIGNATURE,
  type TypeLayout,
  VARIABLE,
} from '../elf/type-layouts.ts';
import type { Diagnostic } from './diagnostic.ts';

/** More of what is different in one type helps nobody. */
const SHOWN = 4;

const HINT =
  'objects of this type exist in the running kernel, in the old layout: leave the type as it is, and keep what is new ' +
  'in a type of its own, found by the address of the old object';

const ENUM_HINT = 'does anything that exists hold the old value? It means something else to the new code';

function place(bits: number): string {
  const bit = bits % 8;
  return `byte ${(bits - bit) / 8}${bit === 0 ? '' : `, bit ${bit}`}`;
}

function width(bits: number | undefined): string {
  if (bits === undefined) return 'no fixed size';
  return bits % 8 === 0 ? `${bits / 8} bytes` : `${bits} bits`;
}

interface MemberChanges {
  /** In words; what makes the type another one. */
  readonly own: readonly string[];
  /** Members that moved, and are what they were: others may be the reason. */
  readonly moved: readonly string[];
  /** Members that lie where one of another name lay, and are of the same kind. */
  readonly renamed: readonly string[];
}

function alike(a: MemberLayout, b: MemberLayout): boolean {
  const isSamePlace = a.bitOffset === b.bitOffset && pointers(a) === pointers(b);
  return isSamePlace && a.bitSize === b.bitSize && a.kind === b.kind;
}

/** How many pointers lead to it: offsets are counted from the last. */
function pointers({ path }: MemberLayout): number {
  return path.split('->').length;
}

function memberChanges(pre: readonly MemberLayout[], post: readonly MemberLayout[]): MemberChanges {
  const before = new Map(pre.map((member) => [member.path, member]));
  const after = new Map(post.map((member) => [member.path, member]));
  const gone = pre.filter(({ path }) => !after.has(path));
  const come = post.filter(({ path }) => !before.has(path));
  const renamed = come.flatMap((member) => {
    const old = gone.find((each) => alike(each, member));
    return old === undefined ? [] : [{ old, member }];
  });
  const isRenamed = (member: MemberLayout): boolean =>
    renamed.some((pair) => pair.old === member || pair.member === member);
  const both = post.flatMap((member) => {
    const old = before.get(member.path);
    return old === undefined ? [] : [{ old, member }];
  });
  return {
    own: [
      ...come
        .filter((member) => !isRenamed(member))
        .map(({ path, text, bitOffset }) => `${path} (${text}) is new, at ${place(bitOffset)}`),
      ...gone
        .filter((member) => !isRenamed(member))
        .map(({ path, text, bitOffset }) => `${path} (${text}) is gone, before at ${place(bitOffset)}`),
      ...both.flatMap(({ old, member }) => {
        if (old.kind !== member.kind) return [`${member.path} is ${member.text}, before ${old.text}`];
        // A structure that is as it was by name: its own change is told where it is declared.
        if (old.bitSize === member.bitSize || /^(?:struct|union|typedef) /.test(old.kind)) return [];
        return [`${member.path} has ${width(member.bitSize)}, before ${width(old.bitSize)}`];
      }),
    ],
    moved: both
      .filter(({ old, member }) => old.bitOffset !== member.bitOffset)
      .map(
        ({ old, member }) =>
          `${member.path} is at ${place(member.bitOffset)}, before at ${place(old.bitOffset)}`,
      ),
    renamed: renamed.map(({ old, member }) => `${member.path} was ${old.path}`),
  };
}

/** More than names: what is told as an error, or holds a type that is. */
function isChanged({ pre, post }: LayoutPair): boolean {
  const [before, ...otherPre] = pre;
  const [after, ...otherPost] = post;
  if (before === undefined || after === undefined || before.name !== after.name) return false;
  if (otherPre.length + otherPost.length > 0) return true;
  const { own, moved } = memberChanges(before.members, after.members);
  return own.length + moved.length > 0 || before.size !== after.size;
}

/** What holds a type that changes, itself or an array of it. */
function holds(layout: TypeLayout, changed: ReadonlySet<string>): boolean {
  return layout.members.some(({ kind }) => changed.has(kind.replace(/(?:\[\d*\])+$/, '')));
}

function shorten(parts: readonly string[]): string {
  const rest = parts.length - SHOWN;
  return [...parts.slice(0, SHOWN), ...(rest > 0 ? [`and ${rest} more`] : [])].join('; ');
}

function declared({ name, file, line }: TypeLayout, unit: string): string {
  return file === undefined ? `${unit}: ${name}` : `${file}:${line ?? 0}: ${name}`;
}

function enumChange(unit: string, pre: TypeLayout, post: TypeLayout): readonly Diagnostic[] {
  const before = new Map(pre.enumerators.map(({ name, value }) => [name, value]));
  const changes = post.enumerators.flatMap(({ name, value }) => {
    const old = before.get(name);
    return old === undefined || old === value ? [] : [`${name} is ${value}, before ${old}`];
  });
  const size =
    pre.size === post.size || pre.name !== post.name ? [] : [`size ${post.size} bytes, before ${pre.size}`];
  if (changes.length + size.length === 0) return [];
  return [
    {
      code: 'enum_value_changed',
      severity: 'warning',
      message: `${declared(post, unit)}: values change: ${shorten([...changes, ...size])}`,
      location: { unit, symbol: post.name },
      hint: ENUM_HINT,
    },
  ];
}

function layoutChange(
  unit: string,
  pre: TypeLayout,
  post: TypeLayout,
  changed: ReadonlySet<string>,
): readonly Diagnostic[] {
  const { own, moved, renamed } = memberChanges(pre.members, post.members);
  const location = { unit, symbol: post.name };
  const size = pre.size === post.size ? [] : [`size ${post.size} bytes, before ${pre.size}`];
  // The data themselves are compared by their bytes: another size is told there.
  if (post.name.startsWith(VARIABLE) && size.length > 0) return [];
  if (own.length + moved.length + size.length === 0) {
    return renamed.length === 0
      ? []
      : [
          {
            code: 'member_renamed',
            severity: 'warning',
            message: `${declared(post, unit)}: members have other names: ${shorten(renamed)}`,
            location,
            hint: 'does the new name stand for something else? Objects that exist hold what the old one stood for',
          },
        ];
  }
  // It holds a type that changes, and nothing else is new about it: that one is told.
  if (own.length === 0 && holds(post, changed)) return [];
  const all = [...own, ...moved, ...size];
  if (pre.name !== post.name) {
    return [
      {
        code: 'type_replaced',
        severity: 'warning',
        message: `${declared(post, unit)}: takes the place of ${pre.name}, and has another layout: ${shorten(all)}`,
        location,
        hint: 'does the new code read what exists as the old type? It would read it at the wrong places',
      },
    ];
  }
  return [
    {
      code: 'type_layout_changed',
      severity: 'error',
      message: `${declared(post, unit)}: the layout changes: ${shorten(all)}`,
      location,
      hint: HINT,
    },
  ];
}

/**
 * An exported function that takes or returns something else. Modules that are loaded call it as they were compiled, and
 * so do those that are loaded later: the kernel's CRC of the export stays what it was.
 */
function signatureChange(unit: string, pre: TypeLayout, post: TypeLayout): readonly Diagnostic[] {
  const { own } = memberChanges(pre.members, post.members);
  if (own.length === 0) return [];
  const changes = own.map((each) => each.replace(/, (?:before )?at byte \d+$/, ''));
  const name = post.name.slice(SIGNATURE.length);
  return [
    {
      code: 'export_type_changed',
      severity: 'error',
      message: `${declared(post, unit)}: is exported, and is called otherwise after the patch: ${shorten(changes)}`,
      location: { unit, symbol: name },
      hint: `leave ${name}() as modules know it, and put what is new into a function of another name`,
    },
  ];
}

/**
 * What speaks against the types of a unit.
 * @param unit path of the unit's object
 * @param pairs types of both builds that differ
 * @param exported names of what the unit exports before the patch
 */
export function typeChanges(
  unit: string,
  pairs: readonly LayoutPair[],
  exported: ReadonlySet<string> = new Set(),
): readonly Diagnostic[] {
  const changed = new Set(pairs.filter(isChanged).map(({ name }) => name));
  return pairs.flatMap(({ name, pre, post }): readonly Diagnostic[] => {
    const [before, ...otherPre] = pre;
    const [after, ...otherPost] = post;
    if (before === undefined || after === undefined) return [];
    // Who calls a function that is not exported is compiled with the patch.
    if (name.startsWith(SIGNATURE)) {
      return exported.has(name.slice(SIGNATURE.length)) ? signatureChange(unit, before, after) : [];
    }
    if (otherPre.length + otherPost.length > 0) {
      return [
        {
          code: 'type_layout_changed',
          severity: 'error',
          message: `${declared(after, unit)}: several types have this name, and the layout of one changes`,
          location: { unit, symbol: name },
          hint: 'give the type a name that is unique in the file',
        },
      ];
    }
    return after.enumerators.length > 0
      ? enumChange(unit, before, after)
      : layoutChange(unit, before, after, changed);
  });
}
