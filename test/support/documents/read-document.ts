/**
 * What a document shows as typed at a prompt, and what it says comes of it.
 *
 *     ```console
 *     build$ ksplice create --patch fix.patch \
 *         --id fix
 *     fix: the subject of the patch
 *     ...
 *     machine# ksplice apply fix.ksplice
 *     ```
 *
 * `build$` is the machine that makes updates, `machine#` root on the one that is updated. What follows a command is
 * its output, and stands for nothing where there is none. In other blocks nothing is typed.
 */

export interface ShownCommand {
  readonly where: 'build' | 'machine';
  readonly command: string;
  /** Lines of output as shown; empty if none are. */
  readonly output: readonly string[];
  /** Of the prompt, from 1. */
  readonly line: number;
}

const PROMPT = /^(build\$|machine#) (.*)$/;

export function readDocument(text: string): readonly ShownCommand[] {
  const commands: ShownCommand[] = [];
  let isInside = false;
  let current: { where: ShownCommand['where']; command: string; output: string[]; line: number } | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    if (line.startsWith('```')) {
      isInside = !isInside && line === '```console';
      current = undefined;
      continue;
    }
    if (!isInside) continue;
    const [, prompt, typed = ''] = PROMPT.exec(line) ?? [];
    if (prompt !== undefined) {
      const where = prompt === 'build$' ? 'build' : 'machine';
      commands.push((current = { where, command: typed, output: [], line: index + 1 }));
    } else if (current === undefined) {
      throw new Error(`line ${index + 1}: output of no command: ${line}`);
    } else if (current.command.endsWith('\\') && current.output.length === 0) {
      current.command = `${current.command.slice(0, -1)}${line.trimStart()}`;
    } else {
      current.output.push(line);
    }
  }
  return commands;
}
