import type { ObjectFile } from '../elf/model.ts';
import type { Diagnostic } from './diagnostic.ts';

/** What the compiler calls from code that KASAN checks, globals' registration included. */
const CHECKED_BY_KASAN = /^__asan_/;

/**
 * Code that KASAN checks refers to tables of the compiler's own (descriptions of globals, and constructors that register
 * them), which an update does not carry over. Which units are checked is a matter of each Makefile (KASAN_SANITIZE), so it
 * is asked of the object, not of the configuration.
 */
export function instrumentation(object: ObjectFile): readonly Diagnostic[] {
  const call = object.symbols.find(({ place, name }) => place === 'undefined' && CHECKED_BY_KASAN.test(name));
  if (call === undefined) return [];
  return [
    {
      code: 'instrumented',
      severity: 'error',
      message: `${object.path}: calls ${call.name}: its code is instrumented by KASAN, with tables that an update does not carry over`,
      location: { unit: object.path },
      hint: 'build the kernel with KASAN_SANITIZE := n for this unit, or without CONFIG_KASAN',
    },
  ];
}
