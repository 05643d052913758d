/**
 * The members of an update file, in the order in which they lie in it.
 *
 * The set is closed: a name is made from these functions or it is refused. That leaves no room for
 * `../`, absolute names or second spellings, and nothing is ever unpacked to a path that a file names.
 */

export const MANIFEST_MEMBER = 'manifest.json';
export const DIGEST_MEMBER = 'manifest.sha256';
export const PATCH_MEMBER = 'patch';
export const CORE_MEMBER = 'core.ko';
export const STUB_MEMBER = 'stub.o';

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

const FIXED: ReadonlySet<string> = new Set([
  MANIFEST_MEMBER,
  DIGEST_MEMBER,
  PATCH_MEMBER,
  CORE_MEMBER,
  STUB_MEMBER,
  SIGNATURE_MEMBER,
]);

/** Could this be a member of some update file? Whether of this one, the manifest says. */
export function isMemberName(name: string): boolean {
  return FIXED.has(name) || /^units\/(?:0|[1-9][0-9]{0,3})\/(?:pre|replacement)\.o$/.test(name);
}

/** Every member of an update with so many units, in order, but for the signature. */
export function memberNames(units: number): readonly string[] {
  const names = [MANIFEST_MEMBER, DIGEST_MEMBER, PATCH_MEMBER, CORE_MEMBER, STUB_MEMBER];
  for (let unit = 0; unit < units; unit += 1) {
    names.push(preMember(unit), replacementMember(unit));
  }
  return names;
}
