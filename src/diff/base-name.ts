/**
 * Names that a compiler makes up carry numbers: static locals (`state.12`), clones (`f.isra.0`,
 * `f.constprop.3`, `f.part.1`), cold parts (`f.cold`), `__UNIQUE_ID_ddebug652.5`. A number is a counter of
 * the whole unit, so a change anywhere shifts all later ones: two builds are compared by names without them.
 */

/** `f.constprop.0.cold` -> `f.constprop.cold`; `__UNIQUE_ID_ddebug652.5` -> `__UNIQUE_ID_ddebug`. */
export function baseName(name: string): string {
  const [first = '', ...rest] = name.split('.');
  const head = first.startsWith('__UNIQUE_ID_') ? first.replace(/\d+$/, '') : first;
  return [head, ...rest.filter((part) => !/^\d+$/.test(part))].join('.');
}

/** Whether the compiler numbered it, so that its name alone does not identify it across builds. */
export function isNumbered(name: string): boolean {
  return baseName(name) !== name;
}

/** The function in the source: `f.isra.0.cold` -> `f`. */
export function sourceName(name: string): string {
  return name.split('.')[0] ?? name;
}

/** The function whose rarely executed part this is: `f.isra.0.cold` -> `f.isra.0`; undefined for others. */
export function coldParent(name: string): string | undefined {
  return /^(.+)\.cold(?:\.\d+)?$/.exec(name)?.[1];
}

/**
 * Objects that stand for a string or a table the compiler made: their address means nothing to anybody,
 * so a copy is as good as the original.
 */
export function isCopyableConstant(name: string): boolean {
  return /^(?:__func__|__FUNCTION__|__PRETTY_FUNCTION__|CSWTCH)(?:\.|$)/.test(name);
}
