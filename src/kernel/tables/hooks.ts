/**
 * Sections that include/ksplice-patch.h makes: pointers to functions of an update's author, which the core
 * calls around a change of stage. They mean something to the tools only; no module has them.
 */

/** In the order of enum ksplice_hook_kind, core/ksplice.h. */
export const HOOK_KINDS = [
  'pre_apply',
  'check_apply',
  'apply',
  'post_apply',
  'fail_apply',
  'pre_reverse',
  'check_reverse',
  'reverse',
  'post_reverse',
  'fail_reverse',
] as const;
export type HookKind = (typeof HOOK_KINDS)[number];

/**
 * Those that run while the old code is in force: a call to a replaced function would go to the new one. A reverse hook is
 * called when the last byte has been written back.
 */
export const OLD_CODE_HOOKS: ReadonlySet<HookKind> = new Set([
  'pre_apply',
  'check_apply',
  'fail_apply',
  'reverse',
  'post_reverse',
]);

const PREFIX = '.ksplice_call_';

/** The kind of hook that a section lists; undefined for any other section, and for a kind that is not known. */
export function hookKindOf(sectionName: string): HookKind | undefined {
  return HOOK_KINDS.find((kind) => sectionName === `${PREFIX}${kind}`);
}
