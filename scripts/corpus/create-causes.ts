/**
 * Why `create` made no update, in words that are the same for the same cause.
 *
 * Messages name files and functions, so that no two are alike. A refusal by differencing has a code for each of
 * its reasons; one by the build has a sentence about a file; other errors have a code, and a message of which
 * only the beginning tells files apart. What no rule knows is its own cause, with names taken out as far as they can be
 * recognised: it shows up in the table and asks for a rule.
 */
import * as v from 'valibot';

const errorSchema = v.object({
  code: v.string(),
  message: v.string(),
  details: v.optional(
    v.object({
      diagnostics: v.optional(
        v.array(
          v.object({
            code: v.string(),
            severity: v.string(),
            message: v.string(),
            location: v.optional(v.object({ section: v.optional(v.string()) })),
          }),
        ),
      ),
      refusals: v.optional(v.array(v.object({ file: v.string(), message: v.string() }))),
    }),
  ),
});

export type CreateError = v.InferOutput<typeof errorSchema>;
type Diagnostic = NonNullable<NonNullable<CreateError['details']>['diagnostics']>[number];

/** The error object that `create --json` printed. Undefined for anything else. */
export function readCreateError(output: string): CreateError | undefined {
  try {
    const parsed = v.safeParse(errorSchema, JSON.parse(output));
    return parsed.success ? parsed.output : undefined;
  } catch {
    return undefined;
  }
}

/** Each cause once, sorted. */
export function createCauses(error: CreateError): readonly string[] {
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

const sectionCodes: ReadonlySet<string> = new Set(['unknown_section', 'table_changed']);

const diagnosticTexts: ReadonlyMap<string, string> = new Map([
  ['unknown_section', 'a section whose meaning is not known'],
  ['data_changed', 'existing data changes its initial value'],
  ['data_layout_changed', 'existing data changes its size or layout'],
  ['table_changed', 'a table changes that the kernel reads once'],
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

const LONGEST = 120;

/** First line, with paths, quoted names, symbols' offsets and numbers made alike. */
function withoutNames(message: string): string {
  const [first = ''] = message.split('\n');
  return first
    .replaceAll(/[\w.,+-]+(?:\/[\w.,+-]+)+/g, 'FILE')
    .replaceAll(/0x[0-9a-f]+/g, 'N')
    .replaceAll(/\b\d+\b/g, 'N')
    .slice(0, LONGEST);
}
