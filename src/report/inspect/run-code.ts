/** What is in the memory of a kernel where a replaced function lies, as matching saw it. */
import type { UnitItem } from '../../diff/unit.ts';
import { type Address, addressAt } from '../../kernel/address.ts';
import { placesIn, rewrittenPlaces } from '../../kernel/tables/rewritten-places.ts';
import type { UnitMatch } from '../../match/match-unit.ts';
import type { Decoder } from '../../x86/decoder.ts';

export interface RunInstruction {
  /** Bytes from the start of the function, in the pre object. */
  readonly offset: number;
  /** What may be there: `fentry`, `return`, `alternative`, ...; `site` for where the jump goes. */
  readonly kind: string;
  readonly bytes: Uint8Array;
  /** The instructions, `; ` between them. */
  readonly text: string;
}

export interface RunFunction {
  readonly address: Address;
  readonly instructions: readonly RunInstruction[];
}

/**
 * @param item of the matched object
 * @param site where the jump goes
 * @returns undefined where its section was not matched
 */
export function readRunCode(
  match: Pick<UnitMatch, 'object' | 'text'>,
  item: UnitItem,
  site: { readonly offset: number; readonly size: number },
  isRunning: boolean,
  decoder: Decoder,
): RunFunction | undefined {
  const text = match.text.get(item.section.index);
  if (text === undefined) return undefined;
  const { layout, run, base } = text;
  const at = (offset: number, length: number, kind: string): RunInstruction => {
    const from = layout.toRun(item.entry + offset);
    const bytes = run.subarray(from, layout.toRun(item.entry + offset + length));
    const instructions = decoder.decodeAll(bytes, addressAt(base, from));
    return { offset, kind, bytes, text: decoder.textOf(instructions).join('; ') };
  };
  const found = new Map<number, RunInstruction>();
  // A kernel at rest has rewritten nothing.
  const places = isRunning ? placesIn(rewrittenPlaces(match.object), item.section.index) : [];
  for (const { offset, length, kind } of places) {
    const inside = offset - item.entry;
    if (inside >= 0 && inside + length <= item.size) found.set(inside, at(inside, length, kind));
  }
  return {
    address: addressAt(base, layout.toRun(item.entry)),
    instructions: [
      at(site.offset, site.size, 'site'),
      ...[...found.values()].toSorted((a, b) => a.offset - b.offset),
    ],
  };
}
