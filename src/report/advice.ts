/**
 * What can be done about an error of each code, for one that comes without a hint of its own. docs/operators.md has the same at length.
 */
import type { ErrorCode } from '../diagnostics/codes.ts';

const MAKE_ANEW = 'make the update anew, for the kernel that runs (ksplice create --kernel RELEASE)';
const REPORT = 'this is a bug in ksplice: please report it, with the output of the same command with -v';

/** Null where there is nothing to do. */
export const ADVICE: Readonly<Record<ErrorCode, string | null>> = {
  usage: 'ksplice COMMAND --help says what it takes',
  unknown_update: 'ksplice view lists the updates of this machine',
  malformed_patch: 'diff -u and git diff make patches that can be read; a mail must not be wrapped',
  patch_does_not_apply: 'take the fix for this version of the source (ksplice debian diff), or adapt it',
  compile_failed: 'mend the patch where the compiler says, and create the update again',
  malformed_object:
    'look whether the compiler is the one that the kernel was built with: ksplice doctor --for create',
  malformed_image: 'give the image of a kernel, as it is in /boot/vmlinuz-RELEASE, and whole',
  malformed_update: 'get the file again, and compare its SHA-256',
  malformed_key: 'give an Ed25519 key in PEM, as ksplice key generate makes it',
  malformed_policy: 'mend the file; ksplice-key(1) says what may be in it',
  refused: 'whoever made the patch has to rewrite it without that, or the machine has to boot a fixed kernel',
  id_taken: 'undo the update of this ID, or give the new one another --id',
  livepatch_refused: 'ksplice apply --engine jump',
  not_signed: 'have it signed by whoever this machine trusts: ksplice key sign',
  unknown_key: 'if you know whose key it is: ksplice key trust',
  revoked_key: 'have it signed with another key',
  bad_signature: 'the file was altered: get it again',
  older_update: 'apply the later update of this ID, or have this one signed anew',
  unsafe_file: 'let it, and what is above it, belong to root, and be written by nobody else',
  no_change: 'look whether the configuration of this kernel has the code that the patch changes',
  no_match: MAKE_ANEW,
  failed_to_find: `${MAKE_ANEW}; if it is for that kernel, please report this`,
  call_failed: 'ksplice view --file FILE shows the patch with its hook, and what it asks for',
  code_busy: 'try again at a quieter time; ksplice apply --debug shows who is in the way',
  module_busy: 'ksplice view names the updates of this machine: undo the one that is in the way first',
  unexpected_running_task: 'try again; please report it if it stays so',
  target_not_loaded: 'load the module with modprobe, and apply the update again',
  cold_update_loaded: 'unload the fixed module with modprobe -r, undo the update, load the module again',
  update_not_applied: 'apply the update that this one is on top of first, or both in one command',
  update_not_installed: 'ksplice view shows what is installed; install both in one command',
  held_back: 'read the log of the boot that ended so, then ksplice boot retry, or ksplice uninstall',
  out_of_memory: 'free some memory, and try again',
  apply_in_progress: 'try again when the other ksplice has ended',
  unknown_kernel:
    'apt-get update; an old kernel needs an archive of old packages in the sources of apt, or --source',
  not_root: 'run it as root, with sudo',
  no_kcore: 'boot without lockdown=confidentiality, and a kernel that has /proc/kcore',
  kallsyms_hidden: 'sysctl -w kernel.kptr_restrict=1',
  lockdown: 'boot with Secure Boot off, and without lockdown= and module.sig_enforce',
  modules_disabled: 'boot without what sets kernel.modules_disabled',
  modules_not_built: 'load the module, or have the update made with --build-modules',
  modules_not_writable: 'mount /lib/modules writable, and apply the update again',
  core_incompatible: 'undo the updates that use the loaded core: it goes with the last one',
  no_livepatch: 'ksplice apply --engine jump',
  missing_tool: 'ksplice doctor lists what this machine lacks',
  download_failed: 'apt-get update, and look at the network',
  command_failed: 'the same command with -v prints what was run, to be run by hand',
  interrupted: null,
  unexpected: REPORT,
};
