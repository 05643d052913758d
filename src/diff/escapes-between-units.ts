import type { Escapes, Replacement } from './replacement.ts';

/** Names that a unit gives to the other units of the update. */
function newGlobals({ functions, data }: Replacement): readonly string[] {
  const isNew = functions.filter(({ scope, preName }) => scope === 'global' && preName === undefined);
  const isOwn = data.filter(({ scope, copyOf }) => scope === 'global' && copyOf === undefined);
  return [...isNew, ...isOwn].map(({ name }) => name);
}

/**
 * What escapes of each of the units of an update, in their order. Extraction sees one unit, for which a name of
 * another one is a name of the kernel, whose address may be kept by anybody.
 */
export function escapesBetweenUnits(replacements: readonly Replacement[]): readonly Escapes[] {
  const brought = new Set(replacements.flatMap(newGlobals));
  return replacements.map(({ escapes, addressesTaken }) => {
    const taken = [...addressesTaken].filter(([name]) => brought.has(name));
    const reasons = [
      ...escapes.reasons,
      ...taken.map(([name, by]) => `${by}: takes the address of new ${name}`),
    ];
    return { escapes: reasons.length > 0, reasons };
  });
}
