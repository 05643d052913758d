/**
 * The members of an update file, in the order in which they lie in it.
 *
 * The set is closed: a name is made from these functions or it is refused. That leaves no room for
 * `../`, absolute names or second spellings, and nothing is ever unpacked to a path that a file names.
 */

export const MANIFEST_MEMBER = 'manifest.json';
export const DIGEST_MEMBER = 'manifest.sha256';
export const PATCH_MEMBER = 'patch';
export const CHANGES_MEMBER = 'changes.json';
export const CORE_MEMBER = 'core.ko';
export const STUB_MEMBER = 'stub.o';
export const LIVEPATCH_MEMBER = 'livepatch.o';

/** Who made it; the last member, or none. */
export const SIGNATURE_MEMBER = 'signature';

/** The plainly compiled object of a unit before the patch. */
export function preMember(unit: number): string {
  return `units/${unit}/pre.o`;
}

/** The replacement code of a unit. */
export function replacementMember(unit: number): string {
  return `units/${unit}/replacement.o`;
}

/** The replacement code that an update below has for a unit; `below`: its number in the unit's list. */
export function belowMember(unit: number, below: number): string {
  return `units/${unit}/on/${below}.o`;
}

/** A module as a whole, with the patch in it. */
export function moduleMember(module: number): string {
  return `modules/${module}.ko`;
}

const FIXED: ReadonlySet<string> = new Set([
  MANIFEST_MEMBER,
  DIGEST_MEMBER,
  PATCH_MEMBER,
  CHANGES_MEMBER,
  CORE_MEMBER,
  STUB_MEMBER,
  LIVEPATCH_MEMBER,
  SIGNATURE_MEMBER,
]);

/** Could this be a member of some update file? Whether of this one, the manifest says. */
export function isMemberName(name: string): boolean {
  return (
    FIXED.has(name) ||
    /^units\/(?:0|[1-9][0-9]{0,3})\/(?:pre|replacement|on\/(?:0|[1-9][0-9]?))\.o$/.test(name) ||
    /^modules\/(?:0|[1-9][0-9]{0,3})\.ko$/.test(name)
  );
}

/** Every member of an update, in order, but for the signature. */
export function memberNames(parts: {
  readonly hasChanges: boolean;
  readonly hasLivepatch: boolean;
  /** For each unit, how many updates below have code for it. */
  readonly units: readonly number[];
  /** How many whole modules. */
  readonly modules: number;
}): readonly string[] {
  return [
    MANIFEST_MEMBER,
    DIGEST_MEMBER,
    PATCH_MEMBER,
    ...(parts.hasChanges ? [CHANGES_MEMBER] : []),
    CORE_MEMBER,
    STUB_MEMBER,
    ...(parts.hasLivepatch ? [LIVEPATCH_MEMBER] : []),
    ...parts.units.flatMap((below, unit) => [
      preMember(unit),
      replacementMember(unit),
      ...Array.from({ length: below }, (_, number) => belowMember(unit, number)),
    ]),
    ...Array.from({ length: parts.modules }, (_, module) => moduleMember(module)),
  ];
}
