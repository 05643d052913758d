/**
 * Symbol values that the matched code shows, and the check that they make sense together.
 *
 * A reference to something of the unit itself tells where its section lies: one base each, on which
 * all references must agree. A reference to a named symbol tells its value, which must be one of
 * kallsyms' addresses for that name. Strings and mergeable constants were merged by the linker, perhaps
 * into the tail of another: their contents are compared, never where they are.
 */

import { hex } from '../diagnostics/hex.ts';
import { SHF_MERGE, SHF_STRINGS, STB_LOCAL, STB_WEAK, STT_OBJECT, STT_SECTION } from '../elf/constants.ts';
import type { ElfSymbol, ObjectFile, Section, SectionIndex } from '../elf/model.ts';
import { type Address, addressAt } from '../kernel/address.ts';
import { type Kernel, readIfMapped } from '../kernel/kernel.ts';
import type { SymbolScope } from '../kernel/symbol-scope.ts';
import { type CodeLayout, sameLayout } from './code-layout.ts';
import { type MismatchCode, type SymbolMismatch, symbolMismatch } from './mismatch.ts';
import { isPcRelative } from './relocation-value.ts';
import type { Observation } from './variant.ts';

/**
 * A variable whose name tells it from others. Those inside functions have a number (`calls.0`), and
 * thousands are called `__func__.0`: looking them up costs more than it proves.
 */
export function isFileScopeObject(symbol: ElfSymbol): boolean {
  return symbol.type === STT_OBJECT && symbol.binding !== STB_WEAK && !/^$|\./.test(symbol.name);
}

/** kallsyms does not list its own tables (scripts/kallsyms.c, is_ignored_symbol()). */
function isUnlisted(name: string): boolean {
  return /^kallsyms_(?:addresses|offsets|relative_base|num_syms|names|markers|token_table|token_index|seqs_of_names)$/.test(
    name,
  );
}

/**
 * How far behind its symbol a reference points: the addend; for a PC-relative field of an instruction, without the 4 bytes
 * from there to the next one.
 */
function shiftOf({ relocation, isDatum }: Observation): number {
  return relocation.addend + (isPcRelative(relocation) && !isDatum ? 4 : 0);
}

export class LearnedValues {
  readonly bases = new Map<SectionIndex, Address>();
  readonly values = new Map<string, Address>();
  readonly #object: ObjectFile;
  readonly #kernel: Kernel;
  readonly #scope: SymbolScope;
  /** Sections of code that is not laid out in the kernel as in the unit: once they are matched, where what is. */
  readonly #layouts: Map<SectionIndex, CodeLayout | undefined>;
  /** References into such sections that have not been matched yet. */
  readonly #waiting: Observation[] = [];
  /** Contents already compared: the same string is referred to many times. */
  readonly #compared = new Set<string>();

  /** `laidOutAnew`: sections of code whose layout in the kernel may be another, and is learnt with `learnLayout`. */
  constructor(object: ObjectFile, kernel: Kernel, scope: SymbolScope, laidOutAnew: readonly Section[] = []) {
    this.#object = object;
    this.#kernel = kernel;
    this.#scope = scope;
    this.#layouts = new Map(laidOutAnew.map(({ index }) => [index, undefined]));
  }

  #mismatch(name: string, found: string, expected: string, reason?: MismatchCode): SymbolMismatch {
    return symbolMismatch(this.#object.path, name, found, expected, reason);
  }

  #describe(at: Address): string {
    return this.#kernel.describe(at) ?? hex(at);
  }

  /** Takes a section's base as known, from an anchor or a reference. */
  learnBase(section: SectionIndex, base: Address): SymbolMismatch | undefined {
    const known = this.bases.get(section);
    if (known === undefined) {
      this.bases.set(section, base);
      return undefined;
    }
    if (known === base) return undefined;
    const name = this.#object.sections[section]?.name ?? '?';
    return this.#mismatch(
      name,
      `section start at ${this.#describe(base)}`,
      `${this.#describe(known)} as elsewhere`,
    );
  }

  /** Takes the layout of a matched section as known, and holds the references that waited for it against it. */
  learnLayout(section: SectionIndex, layout: CodeLayout): SymbolMismatch | undefined {
    if (!this.#layouts.has(section)) return undefined;
    this.#layouts.set(section, layout);
    const isHere = ({ relocation }: Observation): boolean =>
      this.#object.symbols[relocation.symbol]?.place === section;
    const here = this.#waiting.filter(isHere);
    this.#waiting.splice(0, this.#waiting.length, ...this.#waiting.filter((each) => !isHere(each)));
    return here.map((each) => this.learn(each)).find((each) => each !== undefined);
  }

  /** A reference that could not be held against anything, since what it refers to was not matched. */
  checkWaiting(): SymbolMismatch | undefined {
    const [first] = this.#waiting;
    if (first === undefined) return undefined;
    const name = this.#object.symbols[first.relocation.symbol]?.name ?? '?';
    return this.#mismatch(name, this.#describe(first.value), 'code that was matched');
  }

  /** Where a section begins, by a reference into it; undefined where the layout that tells it is not known yet. */
  #baseFrom(symbol: ElfSymbol, section: Section, observation: Observation): Address | undefined {
    const { value } = observation;
    const layout = this.#layouts.has(section.index) ? this.#layouts.get(section.index) : sameLayout;
    if (layout === sameLayout) return addressAt(value, -symbol.value);
    // The symbol may stand for the section, and the addend for the place in it.
    const shift = shiftOf(observation);
    const offset = Number(symbol.value) + shift;
    if (offset === 0) return addressAt(value, shift);
    return layout === undefined ? undefined : addressAt(value, shift - layout.toRun(offset));
  }

  /**
   * Whether what a reference shows agrees with all that is known; learns nothing from it. `here`: the section
   * that is being compared, and where.
   */
  isPlausible(observation: Observation, here?: { section: SectionIndex; base: Address }): boolean {
    const { relocation, value } = observation;
    const symbol = this.#object.symbols[relocation.symbol];
    if (symbol === undefined) return false;
    const section = typeof symbol.place === 'number' ? this.#object.sections[symbol.place] : undefined;
    if (section !== undefined && (section.flags & SHF_MERGE) !== 0) {
      return this.#compareContents(symbol, section, observation) === undefined;
    }
    if (section !== undefined && symbol.binding !== STB_WEAK) {
      const known = section.index === here?.section ? here.base : this.bases.get(section.index);
      const base = this.#baseFrom(symbol, section, observation);
      if (known !== undefined && base !== undefined && known !== base) return false;
      if (symbol.binding === STB_LOCAL || symbol.type === STT_SECTION) return true;
    }
    return (
      isUnlisted(symbol.name) || this.#scope.reachable(symbol.name).some((each) => each.address === value)
    );
  }

  learn(observation: Observation): SymbolMismatch | undefined {
    const { relocation, value } = observation;
    const symbol = this.#object.symbols[relocation.symbol];
    if (symbol === undefined) return undefined;
    if (typeof symbol.place !== 'number') {
      // `if (optional_function) optional_function()`, and the kernel does not have it.
      const isAbsent =
        symbol.binding === STB_WEAK && value === 0n && this.#scope.reachable(symbol.name).length === 0;
      return isAbsent ? undefined : this.#learnNamed(symbol.name, value);
    }
    const section = this.#object.sections[symbol.place];
    if (section === undefined) return undefined;
    if ((section.flags & SHF_MERGE) !== 0) {
      return this.#compareContents(symbol, section, observation);
    }
    // A strong definition elsewhere may have the name; then nothing refers to the body here.
    if (symbol.binding === STB_WEAK) return this.#learnNamed(symbol.name, value);
    const base = this.#baseFrom(symbol, section, observation);
    if (base === undefined) {
      this.#waiting.push(observation);
      return undefined;
    }
    const conflict = this.learnBase(section.index, base);
    if (conflict !== undefined) return conflict;
    const isNamed = symbol.type !== STT_SECTION && symbol.binding !== STB_LOCAL;
    return isNamed ? this.#learnNamed(symbol.name, value) : undefined;
  }

  /**
   * The base of a data section may have been taken from a single reference, and what that refers to need
   * not be what the source means. But the section has objects at file scope, and kallsyms has them, too.
   */
  checkObjects(): SymbolMismatch | undefined {
    for (const symbol of this.#object.symbols.filter(isFileScopeObject)) {
      const section = typeof symbol.place === 'number' ? this.#object.sections[symbol.place] : undefined;
      const base = section === undefined ? undefined : this.bases.get(section.index);
      if (section === undefined || base === undefined) continue;
      const candidates = this.#scope.own(symbol.name);
      const at = addressAt(base, symbol.value);
      if (candidates.some((each) => each.address === at)) continue;
      const expected =
        candidates.length === 0 ? 'a symbol that kallsyms lists' : `${symbol.name} as kallsyms lists it`;
      return this.#mismatch(symbol.name, this.#describe(at), expected);
    }
    return undefined;
  }

  #learnNamed(name: string, value: Address): SymbolMismatch | undefined {
    const known = this.values.get(name);
    if (known === value) return undefined;
    if (known !== undefined) {
      return this.#mismatch(name, this.#describe(value), `${this.#describe(known)} as elsewhere`);
    }
    if (isUnlisted(name)) {
      this.values.set(name, value);
      return undefined;
    }
    const candidates = this.#scope.reachable(name);
    if (candidates.length === 0) {
      return this.#mismatch(name, this.#describe(value), 'a symbol that kallsyms lists', 'failed_to_find');
    }
    if (!candidates.some((each) => each.address === value)) {
      return this.#mismatch(name, this.#describe(value), `${name} as kallsyms lists it`);
    }
    this.values.set(name, value);
    return undefined;
  }

  /** With a section symbol the addend belongs to the position in the section; a label of its own has the position. */
  #compareContents(
    symbol: ElfSymbol,
    section: Section,
    observation: Observation,
  ): SymbolMismatch | undefined {
    const { value } = observation;
    const shift = symbol.type === STT_SECTION ? shiftOf(observation) : 0;
    const offset = Number(symbol.value) + shift;
    const at = addressAt(value, shift);
    const key = `${section.index}:${offset}:${at}`;
    if (this.#compared.has(key)) return undefined;
    const isString = (section.flags & SHF_STRINGS) !== 0;
    // Assembly refers to the halves of a constant, too; merged it is as a whole.
    const inside = isString || section.entrySize === 0 ? 0 : offset % section.entrySize;
    const start = offset - inside;
    const end = isString ? section.data.indexOf(0, offset) + 1 : start + section.entrySize;
    if (offset < 0 || end <= offset || end > section.size) {
      return this.#mismatch(
        `${section.name}+${hex(BigInt(offset))}`,
        this.#describe(at),
        'contents to compare',
      );
    }
    const expected = section.data.subarray(start, end);
    const found = readIfMapped(this.#kernel, addressAt(at, -inside), expected.length);
    if (found === undefined || Buffer.compare(found, expected) !== 0) {
      const show = (bytes: Uint8Array): string =>
        isString
          ? JSON.stringify(Buffer.from(bytes).toString('latin1').replace(/\0.*$/s, ''))
          : Buffer.from(bytes).toString('hex');
      const what = found === undefined ? `no memory at ${hex(at)}` : show(found);
      return this.#mismatch(`${section.name}+${hex(start)}`, what, show(expected));
    }
    this.#compared.add(key);
    return undefined;
  }
}
