/**
 * Unwind states of code that is moved. objtool writes a state only where it differs from the one before, so what
 * holds at a function's start may stand far before it, in another function.
 */
import { FormatError } from '../diagnostics/error.ts';
import type { ObjectFile, SectionIndex } from '../elf/model.ts';
import { codeTarget } from '../kernel/tables/code-target.ts';
import { orcUnwind, orcUnwindIp } from '../kernel/tables/orc.ts';

/** From `offset` of its section on; `bytes` is a `struct orc_entry`. */
export interface UnwindState {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export type UnwindStates = ReadonlyMap<SectionIndex, readonly UnwindState[]>;

const ENTRY_SIZE = orcUnwind.entrySize ?? 6;

/** All zero: nothing is known of the stack. */
export const NO_STATE = new Uint8Array(ENTRY_SIZE);

/**
 * States by section, by offset.
 * @throws FormatError if the two tables do not fit together
 */
export function unwindStates(object: ObjectFile): UnwindStates {
  const table = (name: string): ObjectFile['sections'][number] | undefined =>
    object.sections.find((section) => section.name === name);
  const [ips, entries] = [table(orcUnwindIp.section), table(orcUnwind.section)];
  const found = new Map<SectionIndex, UnwindState[]>();
  if (ips === undefined) return found;
  const count = ips.relocations.length;
  if (entries === undefined || count * ENTRY_SIZE !== entries.size) {
    throw new FormatError(
      'malformed_object',
      `${object.path}: ${count} entries in ${orcUnwindIp.section} for ${entries?.size ?? 0} bytes of ${orcUnwind.section}`,
    );
  }
  for (const [number, relocation] of ips.relocations.entries()) {
    const target = codeTarget(object, relocation);
    if (target === undefined) continue;
    const list = found.get(target.section) ?? [];
    const at = number * ENTRY_SIZE;
    list.push({ offset: target.offset, bytes: entries.data.subarray(at, at + ENTRY_SIZE) });
    found.set(target.section, list);
  }
  for (const list of found.values()) list.sort((a, b) => a.offset - b.offset);
  return found;
}

/** The state in force at an offset. */
export function stateAt(states: readonly UnwindState[], offset: number): Uint8Array | undefined {
  return states.findLast((state) => state.offset <= offset)?.bytes;
}
