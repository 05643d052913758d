import { MissingError } from '../diagnostics/error.ts';

/** An update of a module that is not there. */
export function targetNotLoaded(id: string, module: string): MissingError {
  return new MissingError('target_not_loaded', `${id}: the module ${module} is not loaded`, {
    hint: `load it (modprobe ${module}), then apply the update`,
    details: { id, module },
  });
}
