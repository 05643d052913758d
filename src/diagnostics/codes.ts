/**
 * Every code that can stand in the `code` of an error object under `--json`.
 *
 * The abort causes of the original Ksplice keep their names where they fit, so that scripts written
 * for it still read right. A code is stable: it may be added, never renamed.
 */
export type ErrorCode =
  // the request itself
  | 'usage'
  | 'unknown_update'
  // what was handed to us
  | 'malformed_patch'
  | 'patch_does_not_apply'
  | 'compile_failed'
  | 'malformed_object'
  | 'malformed_image'
  | 'malformed_update'
  | 'malformed_key'
  | 'malformed_policy'
  // understood, and not safe
  | 'refused'
  | 'id_taken'
  | 'livepatch_refused'
  // who made it
  | 'not_signed'
  | 'unknown_key'
  | 'revoked_key'
  | 'bad_signature'
  | 'older_update'
  | 'unsafe_file'
  | 'no_change'
  // the running kernel
  | 'no_match'
  | 'failed_to_find'
  | 'call_failed'
  | 'code_busy'
  | 'module_busy'
  | 'unexpected_running_task'
  | 'target_not_loaded'
  | 'cold_update_loaded'
  | 'update_not_applied'
  | 'update_not_installed'
  | 'held_back'
  | 'out_of_memory'
  | 'apply_in_progress'
  // the machine
  | 'unknown_kernel'
  | 'not_root'
  | 'no_kcore'
  | 'kallsyms_hidden'
  | 'lockdown'
  | 'modules_disabled'
  | 'modules_not_built'
  | 'modules_not_writable'
  | 'core_incompatible'
  | 'no_livepatch'
  | 'missing_tool'
  | 'download_failed'
  | 'command_failed'
  | 'interrupted'
  // our bug
  | 'unexpected';
