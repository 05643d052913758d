/** Which input sections make a module's sections, and where in them each lies. */
import { SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHT_NOBITS, SHT_NOTE } from '../elf/constants.ts';
import type { Section, SectionIndex } from '../elf/model.ts';

export interface Piece {
  readonly section: Section;
  readonly object: number;
  readonly offset: number;
}

export interface OutputSection {
  readonly name: string;
  readonly pieces: Piece[];
  size: number;
  flags: number;
  alignment: number;
  entrySize: number;
  isNobits: boolean;
  isNote: boolean;
}

const KEPT_FLAGS = SHF_ALLOC | SHF_EXECINSTR | SHF_WRITE;

function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

/** Lays the input sections out, each whole, in the order of the objects. */
export class ModuleLayout {
  readonly sections: OutputSection[] = [];
  readonly #places = new Map<string, { readonly output: number; readonly offset: number }>();

  add(object: number, section: Section, name: string): void {
    let output = this.sections.findIndex((each) => each.name === name);
    if (output === -1) {
      const isNobits = section.type === SHT_NOBITS;
      output = this.sections.push({
        name,
        pieces: [],
        size: 0,
        flags: 0,
        alignment: 1,
        entrySize: 0,
        isNobits,
        isNote: section.type === SHT_NOTE,
      });
      output -= 1;
    }
    const target = this.sections[output];
    if (target === undefined) return;
    const alignment = Math.max(section.alignment, 1);
    const offset = alignUp(target.size, alignment);
    target.pieces.push({ section, object, offset });
    target.size = offset + section.size;
    target.alignment = Math.max(target.alignment, alignment);
    target.entrySize = section.entrySize;
    // Constants that gcc put into a writable section, for their relocations, are constants here.
    const flags = name === '.rodata' ? SHF_ALLOC : section.flags & KEPT_FLAGS;
    target.flags |= flags;
    target.isNobits &&= section.type === SHT_NOBITS;
    this.#places.set(`${object}:${section.index}`, { output, offset });
  }

  placeOf(
    object: number,
    section: SectionIndex,
  ): { readonly output: number; readonly offset: number } | undefined {
    return this.#places.get(`${object}:${section}`);
  }
}
