import { MissingError } from '../diagnostics/error.ts';

/** MissingError not_root for anybody else than root. */
export function requireRoot(what: string): void {
  if (process.getuid?.() === 0) return;
  throw new MissingError('not_root', `only root can ${what}`, { hint: 'try sudo' });
}
