/**
 * New objects for which the place is the meaning. The kernel's linker script puts what is in these sections where
 * somebody who does not know it by name will find it, or gives the memory a property; an object in a module has
 * neither. (`.data..percpu*` and `__dyndbg` are not among them: the module loader knows them in any module.)
 */
import type { Diagnostic } from './diagnostic.ts';
import type { UnitItem } from './unit.ts';

const places: readonly (readonly [section: RegExp, why: string])[] = [
  [/^\.vvar_/, 'lies on a page that is mapped into every process, which the vDSO reads'],
  [/^\.(?:data|bss)\.\.decrypted/, 'must lie in memory that is shared with the hypervisor, unencrypted'],
  [/^\.data\.\.nosave/, 'must lie where an image for hibernation leaves it out'],
  [/^\.bss\.\.brk/, 'is memory that the kernel hands out while it boots'],
  [/^__[a-z]+_sched_class$/, 'has its rank from its place among the scheduling classes'],
  [/^___srcu_struct_ptrs$/, 'holds what the module loader sets up as SRCU structures'],
];

/** An error if a new object is of that kind. */
export function refuseSpecialPlace(path: string, item: UnitItem): Diagnostic | undefined {
  const { name } = item.section;
  const why = places.find(([section]) => section.test(name))?.[1];
  if (why === undefined) return undefined;
  return {
    code: 'special_place',
    severity: 'error',
    message: `${path}: ${item.name}: new object in ${name}, which ${why}: an update's module has no such place`,
    location: { unit: path, section: name, symbol: item.name },
    hint:
      name === '___srcu_struct_ptrs'
        ? 'use RCU, or a lock, or an SRCU structure that exists; DEFINE_SRCU works in built-in code only'
        : 'do without the new object, or keep what it holds in an ordinary one',
  };
}
