/** Where the machine keeps what concerns updates. */
export const SYSFS_ROOT = '/sys/kernel/ksplice';
/** One directory an update, 0700: manifest, patches, journal. Gone with the next boot, as updates are. */
export const RUN_ROOT = '/run/ksplice';
export const LOCK_FILE = '/run/ksplice/lock';
/** One directory a kernel release, with its modules. */
export const MODULES_ROOT = '/lib/modules';
/** Installed updates: those that are to be applied again after a reboot. Below the root of the file system. */
export const INSTALLED = 'var/lib/ksplice/installed';
/** What is known of boots that applied installed updates. */
export const BOOT_RECORD = 'var/lib/ksplice/boot.json';
/** What became of the installed updates in this boot. */
export const BOOT_REPORT = '/run/ksplice/boot.json';
/** Is there while an installed update waits for what comes later in the boot. */
export const BOOT_LATER = '/run/ksplice/later';
