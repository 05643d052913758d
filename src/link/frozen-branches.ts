/**
 * Static branches whose key can never change again.
 *
 * When a module with a jump label of somebody else's key is loaded, the loader links itself into the
 * key (jump_label_add_module()). A key that is `__ro_after_init` is read-only by now, and 6.1 does not
 * know of such keys: the write faults, with cpus_read_lock and jump_label_mutex held, and nothing that
 * needs these works again on that machine. But such a key is also as it will always be. So the branch
 * is written in its present state and its entry in `__jump_table` is left out.
 */
import { FormatError } from '../diagnostics/error.ts';
import type { ObjectFile, Section } from '../elf/model.ts';
import type { Address } from '../kernel/address.ts';
import type { JumpLabelPlace } from '../kernel/tables/rewritten-place.ts';
import { rewrittenPlaces } from '../kernel/tables/rewritten-places.ts';

const JUMP_ENTRY_SIZE = 16;
/** 66 90: xchg %ax,%ax; 0f 1f 44 00 00: nopl 0x0(%rax,%rax,1). */
const NOPS: Readonly<Record<number, readonly number[]>> = {
  2: [0x66, 0x90],
  5: [0x0f, 0x1f, 0x44, 0x00, 0x00],
};

export interface KeyReader {
  /** Run address of the key, or undefined if it is not in the kernel (the update brings it). */
  readonly addressOf: (key: JumpLabelPlace['key']) => Address | undefined;
  readonly isReadOnly: (key: Address) => boolean;
  /** static_key.enabled > 0. */
  readonly isEnabled: (key: Address) => boolean;
}

function branchBytes(place: JumpLabelPlace, jumps: boolean, path: string): Uint8Array {
  const nop = NOPS[place.length];
  if (nop === undefined || place.target.section !== place.section) {
    throw new FormatError('malformed_object', `${path}: a jump label of ${place.length} bytes`);
  }
  if (!jumps) return Uint8Array.from(nop);
  const bytes = Buffer.alloc(place.length);
  const distance = place.target.offset - (place.offset + place.length);
  bytes[0] = place.length === 2 ? 0xeb : 0xe9; // eb rel8, e9 rel32: jmp target
  if (place.length === 2) bytes.writeInt8(distance, 1);
  else bytes.writeInt32LE(distance, 1);
  return bytes;
}

function withBranches(section: Section, places: readonly (readonly [JumpLabelPlace, Uint8Array])[]): Section {
  const mine = places.filter(([place]) => place.section === section.index);
  if (mine.length === 0) return section;
  const data = Uint8Array.from(section.data);
  let { relocations } = section;
  for (const [place, bytes] of mine) {
    data.set(bytes, place.offset);
    relocations = relocations.filter(
      ({ offset }) => offset < place.offset || offset >= place.offset + place.length,
    );
  }
  return { ...section, data, relocations };
}

function withoutEntries(section: Section, entries: ReadonlySet<number>): Section {
  const count = section.size / JUMP_ENTRY_SIZE;
  const kept = Array.from({ length: count }, (_, i) => i).filter((i) => !entries.has(i));
  const data = new Uint8Array(kept.length * JUMP_ENTRY_SIZE);
  const relocations = kept.flatMap((from, to) => {
    const start = from * JUMP_ENTRY_SIZE;
    data.set(section.data.subarray(start, start + JUMP_ENTRY_SIZE), to * JUMP_ENTRY_SIZE);
    return section.relocations
      .filter(({ offset }) => offset >= start && offset < start + JUMP_ENTRY_SIZE)
      .map((each) => ({ ...each, offset: each.offset - start + to * JUMP_ENTRY_SIZE }));
  });
  return { ...section, data, size: data.length, relocations };
}

/** Names of the keys whose branches would be frozen. */
export function frozenKeys(
  object: ObjectFile,
  keys: Pick<KeyReader, 'addressOf' | 'isReadOnly'>,
): readonly string[] {
  const names = rewrittenPlaces(object).flatMap((place) => {
    const key = place.kind === 'jump-label' ? keys.addressOf(place.key) : undefined;
    if (place.kind !== 'jump-label' || key === undefined || !keys.isReadOnly(key)) return [];
    return [object.symbols[place.key.symbol]?.name ?? '?'];
  });
  return [...new Set(names)];
}

/** The object with the branches of read-only keys frozen; the same object if there are none. */
export function freezeBranches(object: ObjectFile, keys: KeyReader): ObjectFile {
  const frozen = rewrittenPlaces(object).flatMap(
    (place): readonly (readonly [JumpLabelPlace, Uint8Array])[] => {
      if (place.kind !== 'jump-label') return [];
      const key = keys.addressOf(place.key);
      if (key === undefined || !keys.isReadOnly(key)) return [];
      return [[place, branchBytes(place, keys.isEnabled(key) !== place.branch, object.path)]];
    },
  );
  if (frozen.length === 0) return object;
  const entries = new Set(frozen.map(([place]) => place.entry));
  return {
    ...object,
    sections: object.sections.map((section) =>
      section.name === '__jump_table' ? withoutEntries(section, entries) : withBranches(section, frozen),
    ),
  };
}
