/**
 * The core in a kernel's own tree (ksplice kernel-series), which no update may change: its functions are on the stack
 * of whoever applies it, and run while it is switched.
 */

/** Files of it, and the units that they make. */
export const coreOfTree = /^kernel\/ksplice\//;

/** Ends a sentence that begins with a file or a function. */
export const CORE_WHY = 'is part of the core, which switches updates and cannot switch itself';

/** What to do instead. */
export const CORE_HINT =
  'the core is mended by booting a kernel with the new one; or, with CONFIG_KSPLICE=m, by loading it anew while no update is there: ksplice undo, rmmod ksplice, modprobe ksplice';
