/**
 * The code of a function as an object has it, with names for all that it refers to.
 *
 * A disassembler prints numbers, and a relocated field has none yet. So each such field is filled with a number that
 * no code has, one for each reference, and where that number is printed the name is put. A branch is another matter: what
 * is printed is where it goes, always last.
 */

import { hex } from '../../diagnostics/hex.ts';
import { coldParent } from '../../diff/base-name.ts';
import { resolveTarget } from '../../diff/target.ts';
import { type Reference, referencesBetween, type Unit, type UnitItem } from '../../diff/unit.ts';
import type { Decoder } from '../../x86/decoder.ts';
import type { Instruction } from '../../x86/instruction.ts';
import type { CodeLine } from './code-line.ts';
import type { SourceLines } from './source-lines.ts';
import { nameTarget } from './target-name.ts';

/** The first of the numbers in place of references; positive as a field of 32 bits. */
const PLACEHOLDER = 0x5a5a_0000;
/** Beyond so many references in one function numbers could be taken for addresses; the rest stays without names. */
const MOST_REFERENCES = 0xffff;
const LAST_NUMBER = /\$?-?0x[0-9a-f]+$/;

interface Named {
  readonly reference: Reference;
  readonly placeholder: string;
  readonly name: string;
  /** The same in another build of the function. */
  readonly key: string;
}

/** All instructions of a function or cold part. */
export function disassemble(
  unit: Unit,
  item: UnitItem,
  decoder: Decoder,
  sourceLines: SourceLines,
): readonly CodeLine[] {
  const { section, entry, size, name } = item;
  const code = Uint8Array.from(section.data.subarray(entry, entry + size));
  const whole = coldParent(name) ?? name;
  const references = referencesBetween(unit, section.index, entry, entry + size).slice(0, MOST_REFERENCES);
  const view = new DataView(code.buffer);
  const named = references.map((reference, index): Named => {
    const at = reference.offset - entry;
    const isWide = reference.use !== 'branch' && reference.width >= 4 && at + reference.width <= code.length;
    if (isWide) {
      code.fill(0, at, at + reference.width);
      view.setUint32(at, PLACEHOLDER + index, true);
    }
    const placeholder = hex(PLACEHOLDER + index);
    const { text, key } = nameTarget(unit, resolveTarget(unit, reference), whole);
    return { reference, placeholder, name: text, key };
  });
  const instructions = decoder.decodeAll(code, 0n);
  const texts = decoder.textOf(instructions);
  let next = 0;
  return instructions.map((instruction, index) => {
    const here: Named[] = [];
    for (; next < named.length; next += 1) {
      const one = named[next];
      if (one === undefined || one.reference.offset - entry >= instruction.offset + instruction.length) break;
      here.push(one);
    }
    const { offset, length } = instruction;
    return {
      offset,
      bytes: section.data.subarray(entry + offset, entry + offset + length),
      ...describe(instruction, texts[index] ?? '', here, item),
      source: sourceLines(item, offset),
    };
  });
}

function describe(
  instruction: Instruction,
  text: string,
  references: readonly Named[],
  { name, size }: UnitItem,
): Pick<CodeLine, 'text' | 'key' | 'target'> {
  const [branch] = references.filter(({ reference }) => reference.use === 'branch');
  if (branch !== undefined) {
    const shown = text.replace(LAST_NUMBER, () => branch.name);
    return { text: shown, key: text.replace(LAST_NUMBER, () => branch.key), target: undefined };
  }
  const { target } = instruction;
  if (target !== undefined && target >= 0n && target < BigInt(size)) {
    const shown = text.replace(LAST_NUMBER, () => `${name}+${hex(target)}`);
    return { text: shown, key: text.replace(LAST_NUMBER, 'itself'), target: Number(target) };
  }
  // Padding may have another length on the other side.
  if (/^(?:data16 |cs )*nop|^xchg %ax,%ax$/.test(text)) return { text, key: 'nop', target: undefined };
  let shown = text;
  let key = text;
  for (const one of references) {
    shown = shown.replace(one.placeholder, () => one.name);
    key = key.replace(one.placeholder, () => one.key);
  }
  return { text: shown, key, target: undefined };
}
