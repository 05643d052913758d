import { STB_GLOBAL, STB_LOCAL, STB_WEAK, STT_NOTYPE, STT_SECTION, STV_DEFAULT } from '../elf/constants.ts';
import type { ObjectImage, RelocationImage, SectionImage, SymbolImage } from '../elf/image.ts';

interface DraftSection {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly entrySize: number;
  alignment: number;
  readonly chunks: Uint8Array[];
  size: number;
  /** Without contents in the file, like `.bss`. */
  readonly empty: boolean;
  readonly relocations: RelocationImage[];
}

export interface SectionShape {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly entrySize: number;
  readonly alignment: number;
}

/** An object image under construction; sections and symbols are known by position from the start. */
export class ImageDraft {
  readonly #sections: DraftSection[] = [];
  readonly #symbols: SymbolImage[] = [];
  readonly #sectionSymbols = new Map<number, number>();

  /** Starts a section; `empty` makes it one of zeroes that take no room in the file. */
  addSection(shape: SectionShape, empty = false): number {
    this.#sections.push({ ...shape, chunks: [], size: 0, empty, relocations: [] });
    return this.#sections.length - 1;
  }

  /** Appends bytes at the given alignment; returns their offset in the section. */
  append(position: number, bytes: Uint8Array, alignment: number): number {
    const section = this.#section(position);
    const padding = (alignment - (section.size % alignment)) % alignment;
    if (!section.empty) section.chunks.push(new Uint8Array(padding), bytes);
    section.alignment = Math.max(section.alignment, alignment);
    const offset = section.size + padding;
    section.size = offset + bytes.length;
    return offset;
  }

  addRelocation(position: number, relocation: RelocationImage): void {
    this.#section(position).relocations.push(relocation);
  }

  addSymbol(symbol: Omit<SymbolImage, 'binding' | 'visibility'>, isGlobal = false): number {
    const binding = isGlobal ? STB_GLOBAL : STB_LOCAL;
    this.#symbols.push({ ...symbol, binding, visibility: STV_DEFAULT });
    return this.#symbols.length - 1;
  }

  addUndefined(name: string, weak: boolean): number {
    this.#symbols.push({
      name,
      value: 0n,
      size: 0,
      binding: weak ? STB_WEAK : STB_GLOBAL,
      type: STT_NOTYPE,
      visibility: STV_DEFAULT,
      place: 'undefined',
    });
    return this.#symbols.length - 1;
  }

  /** The symbol for a section's start, made at first use. */
  sectionSymbol(position: number): number {
    const known = this.#sectionSymbols.get(position);
    if (known !== undefined) return known;
    const symbol = this.addSymbol({ name: '', value: 0n, size: 0, type: STT_SECTION, place: position });
    this.#sectionSymbols.set(position, symbol);
    return symbol;
  }

  /** The image, local symbols first, and where each symbol has gone: new position by old one. */
  finish(): { readonly object: ObjectImage; readonly positions: readonly number[] } {
    const order = [...this.#symbols.keys()].sort((a, b) => this.#rank(a) - this.#rank(b) || a - b);
    const positions: number[] = [];
    for (const [position, old] of order.entries()) positions[old] = position;
    const symbols = order.flatMap((old) => this.#symbols[old] ?? []);
    const sections = this.#sections.map((section) => finishSection(section, positions));
    return { object: { sections, symbols }, positions };
  }

  #rank(symbol: number): number {
    return this.#symbols[symbol]?.binding === STB_LOCAL ? 0 : 1;
  }

  #section(position: number): DraftSection {
    const section = this.#sections[position];
    if (section === undefined) throw new RangeError(`no section at position ${position}`);
    return section;
  }
}

function finishSection(section: DraftSection, positions: readonly number[]): SectionImage {
  const { name, type, flags, alignment, entrySize } = section;
  const relocations = section.relocations
    .map((each) => ({ ...each, symbol: positions[each.symbol] ?? each.symbol }))
    .sort((a, b) => a.offset - b.offset);
  if (section.empty) return { name, type, flags, alignment, entrySize, contents: section.size, relocations };
  const contents = new Uint8Array(section.size);
  let at = 0;
  for (const chunk of section.chunks) {
    contents.set(chunk, at);
    at += chunk.length;
  }
  return { name, type, flags, alignment, entrySize, contents, relocations };
}
