/**
 * Why `create` made no update, in words that are the same for the same cause.
 *
 * Messages name files and functions, so that no two are alike. A refusal by differencing has a code for each of
 * its reasons; one by the build has a sentence about a file; other errors have a code, and a message of which
 * only the beginning tells files apart. What no rule knows is its own cause, with names taken out as far as they can be
 * recognised: it shows up in the table and asks for a rule.
 */
import { withoutNames } from './cause-text.ts';
import type { ToolError } from './error-json.ts';

type Diagnostic = NonNullable<NonNullable<ToolError['details']>['diagnostics']>[number];

/** Each cause once, sorted. */
export function createCauses(error: ToolError): readonly string[] {
  const { diagnostics, refusals } = error.details ?? {};
  const errors = (diagnostics ?? []).filter(({ severity }) => severity === 'error');
  const causes =
    errors.length > 0
      ? errors.map(diagnosticCause)
      : (refusals ?? []).length > 0
        ? (refusals ?? []).map(({ message }) => sentenceCause(message))
        : [sentenceCause(error.message, error.code)];
  return [...new Set(causes)].toSorted();
}

/** What is told of a section is a different cause for each: one table is not like another. */
function diagnosticCause({ code, message, location }: Diagnostic): string {
  const text = diagnosticTexts.get(code);
  const section = location?.section?.replace(/\+.*$/, '');
  if (text === undefined) return withoutNames(message);
  return sectionCodes.has(code) && section !== undefined ? `${text}: ${section}` : text;
}

const sectionCodes: ReadonlySet<string> = new Set([
  'unknown_section',
  'table_changed',
  'boot_table_changed',
  'trace_table_changed',
]);

const diagnosticTexts: ReadonlyMap<string, string> = new Map([
  ['unknown_section', 'a section whose meaning is not known'],
  ['data_changed', 'existing data changes its initial value'],
  ['data_layout_changed', 'existing data changes its size or layout'],
  ['table_changed', 'a table changes that the kernel reads once'],
  ['type_layout_changed', 'a struct changes its layout'],
  ['initcall_changed', 'an initcall changes: they have run already'],
  ['boot_table_changed', 'a table changes that was read at boot'],
  ['boot_option_changed', 'a boot option changes: the command line has been read'],
  ['parameter_changed', 'a module parameter changes'],
  ['pci_fixup_changed', 'a PCI fixup changes'],
  ['trace_table_changed', 'a table of tracing changes'],
  ['btf_ids_changed', 'a set of BTF IDs changes'],
  ['export_added', 'a symbol is exported, and nothing else changes'],
  ['export_changed', 'an export changes'],
  ['export_removed', 'an export is removed'],
  ['exit_code_changed', 'exit code changes that never runs'],
  ['special_place', 'a new object that means something only where the linker puts it'],
  ['immovable_code', 'assembly that cannot be moved'],
  ['always_busy', 'a function that some thread is always in'],
  ['definition_moved', 'a function or object moves to another file'],
  ['module_reference', 'code refers to what is new in another module, and is not exported'],
  ['hook_refused', 'a hook that cannot be used'],
  ['init_code_changed', 'init code changes, which has run already'],
  ['init_data_changed', 'data changes that is used at boot only'],
  ['restricted_code_changed', 'code that may not be replaced (noinstr, entry, ...)'],
  ['refers_to_init', 'init code or data is referred to, which is gone'],
  ['ambiguous_object', 'an object that cannot be told from others'],
  ['anonymous_data', 'existing data without a name'],
  ['static_call_added', 'a new static call'],
  ['unsupported_relocation', 'a relocation that is not known'],
]);

/** By code of the error, or by what its message says. */
const sentences: readonly (readonly [RegExp, string])[] = [
  [/is part of the module/, 'the file is part of a module'],
  [/part of the vDSO/, 'vDSO'],
  [/runs before or outside the kernel/, 'boot code'],
  [/makes a header that all units include/, 'makes a header that all units include'],
  [/no room for a jump/, 'a function too short for a jump'],
  [/, which has no name$/, 'existing data without a name'],
  [/is nothing that a module can have$/, 'a relocation that no module can have'],
];

const codeTexts: ReadonlyMap<string, string> = new Map([
  ['compile_failed', 'the file does not compile without the rest of the release'],
  ['patch_does_not_apply', 'the patch does not apply'],
]);

function sentenceCause(message: string, code?: string): string {
  const byCode = code === undefined ? undefined : codeTexts.get(code);
  return byCode ?? sentences.find(([pattern]) => pattern.test(message))?.[1] ?? withoutNames(message);
}
