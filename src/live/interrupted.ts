import { BusyError } from '../diagnostics/error.ts';

/** Between passes: a person's Ctrl-C becomes an error, and the error takes away what was made so far. */
export function throwIfInterrupted(signal: AbortSignal): void {
  if (signal.aborted) throw new BusyError('interrupted', 'interrupted; nothing was left behind');
}
