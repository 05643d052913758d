/** What the running system says of this boot. */
import { readFileSync } from 'node:fs';

/** The kernel's own number of this boot; a resume from hibernation keeps it. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
}

/** Does the kernel's command line have the word `noksplice`? What stands behind `--` is for init, and counts too: it was meant. */
export function asksForNone(commandLine: string = readFileSync('/proc/cmdline', 'utf8')): boolean {
  return commandLine.trim().split(/\s+/).includes('noksplice');
}
