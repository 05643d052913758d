/**
 * What a pass has to say about a patch, as data; printed elsewhere. All of them are collected, so that an
 * author sees every reason at once.
 */
export type DiagnosticCode =
  // errors: the update would be wrong
  | 'unknown_section'
  | 'data_changed'
  | 'data_layout_changed'
  | 'table_changed'
  | 'restricted_code_changed'
  | 'refers_to_init'
  | 'ambiguous_object'
  | 'anonymous_data'
  | 'static_call_added'
  | 'unsupported_relocation'
  // warnings: an effect of the patch is missing, or worth knowing
  | 'init_code_changed'
  | 'exit_code_changed'
  | 'init_data_changed'
  | 'const_data_copied'
  // notes
  | 'line_numbers_only'
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
