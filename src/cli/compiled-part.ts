/** Commands that run much of the program. */
const WHOLE: ReadonlySet<string> = new Set([
  'create',
  'inspect',
  'check',
  'link',
  'apply',
  'undo',
  'boot',
  'debian',
]);

/**
 * Which compiled code a command starts with: that of every function, or of those that a start needs, which is read five times as fast. With the
 * other one a command does the same, and compiles what it is missing.
 */
export function compiledPart(command: string | undefined): 'program.cache' | 'start.cache' {
  return command !== undefined && WHOLE.has(command) ? 'program.cache' : 'start.cache';
}
