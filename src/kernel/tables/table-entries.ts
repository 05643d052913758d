import { FormatError } from '../../diagnostics/error.ts';
import { hex } from '../../diagnostics/hex.ts';
import type { ObjectFile, Relocation, Section } from '../../elf/model.ts';
import { type CodeTarget, codeTarget } from './code-target.ts';
import { ownerField, type SpecialTable } from './special-table.ts';

/** One entry of a special section of fixed entry size. */
export interface TableEntry {
  readonly table: SpecialTable;
  readonly section: Section;
  /** Number of the entry in its section, from 0. */
  readonly number: number;
  /** Offset of the entry in its section, in bytes. */
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** Relocations that fall into the entry; offsets count from the section's start. */
  readonly relocations: readonly Relocation[];
  /** The code that the entry is about; undefined if its owner lies in no section of this object. */
  readonly owner: CodeTarget | undefined;
}

/**
 * Reads a special section entry by entry.
 * @throws FormatError if the table has no fixed entry size, or the section's size is not a multiple of it.
 */
export function tableEntries(object: ObjectFile, section: Section, table: SpecialTable): TableEntry[] {
  const size = table.entrySize;
  if (size === undefined || section.size % size !== 0) {
    throw new FormatError(
      'malformed_object',
      `${object.path}: ${section.name}: size ${hex(section.size)} is not a multiple of the entry size ${size ?? 'unknown'}`,
      { hint: 'the kernel may use another layout of this table than the one known here' },
    );
  }
  const owner = ownerField(table);
  const entries: TableEntry[] = [];
  let next = 0;
  for (let offset = 0; offset < section.size; offset += size) {
    const relocations: Relocation[] = [];
    for (;;) {
      const relocation = section.relocations[next];
      if (relocation === undefined || relocation.offset >= offset + size) break;
      relocations.push(relocation);
      next += 1;
    }
    const owning =
      owner === undefined ? undefined : relocations.find((each) => each.offset === offset + owner.offset);
    entries.push({
      table,
      section,
      number: offset / size,
      offset,
      bytes: section.data.subarray(offset, offset + size),
      relocations,
      owner: owning === undefined ? undefined : codeTarget(object, owning),
    });
  }
  return entries;
}
