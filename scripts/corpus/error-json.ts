import * as v from 'valibot';

const errorSchema = v.object({
  code: v.string(),
  message: v.string(),
  hint: v.optional(v.string()),
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

/** An error as the program prints it under `--json`, as far as the corpus looks at it. */
export type ToolError = v.InferOutput<typeof errorSchema>;

/** The error object in what the program printed. Undefined for anything else. */
export function readErrorJson(output: string): ToolError | undefined {
  try {
    const parsed = v.safeParse(errorSchema, JSON.parse(output));
    return parsed.success ? parsed.output : undefined;
  } catch {
    return undefined;
  }
}
