/** A message with what else there is to say, a line each. */
export function withNotes(message: string, notes: readonly string[]): string {
  return [message, ...notes.map((note) => `  ${note}`)].join('\n');
}
