/**
 * What a pass has to say about a patch, as data; printed elsewhere. All of them are collected, so that an
 * author sees every reason at once.
 */
export type DiagnosticCode =
  // errors: the update would be wrong
  | 'unknown_section'
  | 'instrumented'
  | 'data_changed'
  | 'data_layout_changed'
  | 'type_layout_changed'
  | 'table_changed'
  | 'initcall_changed'
  | 'boot_table_changed'
  | 'parameter_changed'
  | 'pci_fixup_changed'
  | 'trace_table_changed'
  | 'btf_ids_changed'
  | 'export_changed'
  | 'export_removed'
  | 'export_type_changed'
  | 'export_crc_changed'
  | 'special_place'
  | 'restricted_code_changed'
  | 'immovable_code'
  | 'always_busy'
  | 'definition_moved'
  | 'name_taken'
  | 'module_reference'
  | 'refers_to_init'
  | 'hook_refused'
  | 'ambiguous_object'
  | 'anonymous_data'
  | 'static_call_added'
  | 'unsupported_relocation'
  // warnings: an effect of the patch is missing, or worth knowing
  | 'init_code_changed'
  | 'exit_code_changed'
  | 'overridden_code_changed'
  | 'init_data_changed'
  | 'const_data_copied'
  | 'boot_option_changed'
  | 'export_added'
  | 'enum_value_changed'
  | 'member_renamed'
  | 'type_replaced'
  // notes
  | 'line_numbers_only'
  | 'module_info_changed'
  | 'export_crc_differs'
  | 'function_removed'
  | 'data_removed';

export type Severity = 'error' | 'warning' | 'note';

export interface DiagnosticLocation {
  /** Path of the unit's object. */
  readonly unit: string;
  readonly section?: string;
  /** Function or object. */
  readonly symbol?: string;
}

export interface Diagnostic {
  readonly code: DiagnosticCode;
  readonly severity: Severity;
  /** Lower-case, names object and place. */
  readonly message: string;
  readonly location?: DiagnosticLocation;
  /** What the author can do. */
  readonly hint?: string;
}
