import { MissingError } from '../diagnostics/error.ts';

/** An update of a module that is not there. `isCarried`: the update could do without. */
export function targetNotLoaded(id: string, module: string, isCarried: boolean): MissingError {
  const otherwise = isCarried
    ? '; or have the fixed module loaded from now on (ksplice apply --partial)'
    : '';
  return new MissingError('target_not_loaded', `${id}: the module ${module} is not loaded`, {
    hint: `load it (modprobe ${module}), then apply the update${otherwise}`,
    details: { id, module },
  });
}
