import type { InspectedReference, InspectedUnit } from './inspection.ts';

export interface SymbolGroup {
  readonly how: string;
  readonly symbols: readonly InspectedReference[];
}

/** The symbols of a unit by how they are found, in the order of the first of each. */
export function symbolGroups({ references }: InspectedUnit): readonly SymbolGroup[] {
  const groups = new Map<string, InspectedReference[]>();
  for (const reference of references) {
    groups.set(reference.how, [...(groups.get(reference.how) ?? []), reference]);
  }
  return [...groups].map(([how, symbols]) => ({ how, symbols }));
}
