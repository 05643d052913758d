/**
 * What differs between two objects of a unit, by section, where each function and each object has a section of its own.
 *
 * Two sections are the same if their bytes are and what they refer to: a symbol by its name, a string by its letters, a
 * constant by its bytes. The numbers that the compiler gives to static objects, clones and literals count anew in each
 * object, and are left out of names; sections that are then called the same are compared as a group.
 *
 * Tables about code (bugs, exceptions, alternatives, ...) follow what they are about, and are left out. A unit in which
 * such a table is all that differs counts as not changed.
 */
import { createHash } from 'node:crypto';
import type { ObjectSection, ObjectText, Reference } from './read-object.ts';

export interface ChangedSection {
  /** Without numbers: `.text.ip_options_get`. */
  readonly name: string;
  readonly change: 'new' | 'removed' | 'resized' | 'contents';
}

const ABOUT_CODE =
  /^(?:__mcount_loc|__bug_table|__ex_table|__jump_table|\.altinstructions|\.altinstr_(?:replacement|aux)|\.smp_locks|\.parainstructions|\.orc_unwind.*|\.(?:return|retpoline|static_call)_sites|\.discard\..*|\.note\..*)$/;

/** Ordered by name. */
export function changedSections(pre: ObjectText, post: ObjectText): readonly ChangedSection[] {
  const before = groupSections(pre);
  const after = groupSections(post);
  const names = [...new Set([...before.keys(), ...after.keys()])].toSorted();
  return names.flatMap((name): ChangedSection[] => {
    const [old, now] = [before.get(name) ?? [], after.get(name) ?? []];
    if (now.length > old.length) return [{ name, change: 'new' }];
    if (now.length < old.length) return [{ name, change: 'removed' }];
    const [oldPrints, nowPrints] = [prints(pre, old), prints(post, now)];
    if (oldPrints === nowPrints) return [];
    return [{ name, change: sizes(old) === sizes(now) ? 'contents' : 'resized' }];
  });
}

function groupSections(object: ObjectText): ReadonlyMap<string, readonly ObjectSection[]> {
  const groups = new Map<string, ObjectSection[]>();
  for (const section of object.values()) {
    if (section.size === 0 || section.isMerged || ABOUT_CODE.test(section.name)) continue;
    const name = withoutNumbers(section.name);
    groups.set(name, [...(groups.get(name) ?? []), section]);
  }
  return groups;
}

/** `.bss.__key.12` to `.bss.__key`, `.data.__UNIQUE_ID_x45` to `.data.__UNIQUE_ID_x`. */
function withoutNumbers(name: string): string {
  return name.replaceAll(/\.\d+(?=\.|$)/g, '').replaceAll(/(__UNIQUE_ID_\w*?)\d+(?=\.|$)/g, '$1');
}

function sizes(sections: readonly ObjectSection[]): string {
  return sections
    .map(({ size }) => size)
    .toSorted((a, b) => a - b)
    .join();
}

/** In no order: which of the group is which cannot be told. */
function prints(object: ObjectText, sections: readonly ObjectSection[]): string {
  return sections
    .map((section) => print(object, section))
    .toSorted()
    .join();
}

function print(object: ObjectText, { size, bytes, references }: ObjectSection): string {
  const hash = createHash('sha256').update(`${size}:`).update(bytes);
  for (const reference of references.toSorted((a, b) => a.offset - b.offset)) {
    hash.update(`${reference.offset} ${reference.type} ${target(object, reference)}\n`);
  }
  return hash.digest('hex');
}

function target(object: ObjectText, { type, symbol, addend }: Reference): string {
  const section = symbol.section === undefined ? undefined : object.get(symbol.section);
  if (section?.isMerged === true) {
    // What is counted from the end of a field of four bytes points four bytes further than it says.
    const at = symbol.value + addend + (/^R_X86_64_(?:PC32|PLT32)$/.test(type) ? 4 : 0);
    return `${withoutNumbers(section.name)} ${literalAt(section, at)}`;
  }
  if (symbol.name === '' && section !== undefined) {
    return `${withoutNumbers(section.name)} ${addend}`;
  }
  return `${withoutNumbers(symbol.name)} ${addend}`;
}

/** A string to its end; of constants, whose length is in the name, the bytes. */
function literalAt({ name, bytes }: ObjectSection, at: number): string {
  const length = /\.cst(\d+)$/.exec(name)?.[1];
  const end = length === undefined ? bytes.indexOf(0, at) : at + Number(length);
  return bytes.subarray(at, end < 0 ? undefined : end).toString('hex');
}
