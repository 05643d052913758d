import type { SwitchTiming } from '../live/core-sysfs.ts';
import { counted } from '../report/format.ts';

/** Nanoseconds as `0.42 ms`. */
export function milliseconds(nanoseconds: number): string {
  return `${(nanoseconds / 1e6).toFixed(2)} ms`;
}

/** What a transition of the kernel's livepatch took: `by livepatch in 1.23 s`. */
export function transitionText(milliseconds: number): string {
  return `by livepatch in ${(milliseconds / 1000).toFixed(2)} s`;
}

/** What the switch cost: `all CPUs stopped for 0.42 ms, 1 attempt`. */
export function switchText(timing: SwitchTiming): string {
  return `all CPUs stopped for ${milliseconds(timing.stoppedNs)}, ${counted(timing.attempts, 'attempt')}`;
}
