/** Where the machine keeps what concerns updates. */
export const SYSFS_ROOT = '/sys/kernel/ksplice';
/** One directory an update, 0700: manifest, patches, journal. Gone with the next boot, as updates are. */
export const RUN_ROOT = '/run/ksplice';
export const LOCK_FILE = '/run/ksplice/lock';
/** One directory a kernel release, with its modules. */
export const MODULES_ROOT = '/lib/modules';
