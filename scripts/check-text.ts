/**
 * Style of what no formatter here knows: C, shell, Makefiles, Markdown.
 *
 * For C it is the part of the kernel's style that can be seen on one line: a licence line first, tabs, no line
 * beyond 100 columns (a tab is 8).
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface StyleProblem {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

const C_COLUMNS = 100;
const C_FOLDERS = /^(?:core|include)\//;

/** Everything that is wrong with the text of one file. */
export function checkText(path: string, text: string): readonly StyleProblem[] {
  const problems: StyleProblem[] = [];
  const add = (line: number, message: string): void => {
    problems.push({ path, line, message });
  };
  const isKernelCode = C_FOLDERS.test(path) && /\.[ch]$/.test(path);
  const lines = text.split('\n');
  if (lines.at(-1) !== '') {
    add(lines.length, 'no newline at the end');
  }
  if (isKernelCode && !/^(?:\/\/|\/\*) SPDX-License-Identifier: GPL-2\.0\b/.test(lines[0] ?? '')) {
    add(1, 'no SPDX-License-Identifier: GPL-2.0');
  }
  for (const [index, line] of lines.entries()) {
    if (/[ \t\r]$/.test(line)) {
      add(index + 1, 'space at the end of the line');
    }
    if (isKernelCode) {
      if (/^\t* {8}/.test(line)) {
        add(index + 1, 'indented by spaces');
      }
      const width = line.replaceAll('\t', ' '.repeat(8)).length;
      if (width > C_COLUMNS) {
        add(index + 1, `${width} columns, at most ${C_COLUMNS}`);
      }
    }
  }
  return problems;
}

/** Checks every such file that git knows or would add. */
export function checkTexts(root: string): readonly StyleProblem[] {
  const options = { cwd: root, encoding: 'utf8' } as const;
  const listed = execFileSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], options);
  const problems: StyleProblem[] = [];
  for (const path of listed.split('\0').filter((name) => name !== '' && name !== 'LICENSE')) {
    const text = readFileSync(join(root, path), 'utf8');
    const shell = /^#!.*\b(bash|sh)\n/.exec(text)?.[1];
    if (shell === undefined && !/(?:\.(?:c|h|S|md|sh)|\/Kbuild|Makefile)$/.test(path)) {
      continue;
    }
    problems.push(...checkText(path, text));
    if (shell !== undefined) {
      problems.push(...checkShellSyntax(root, path, shell));
    }
  }
  return problems;
}

function checkShellSyntax(root: string, path: string, shell: string): readonly StyleProblem[] {
  try {
    execFileSync(shell, ['-n', path], { cwd: root, stdio: 'pipe' });
    return [];
  } catch (error) {
    return [
      { path, line: 1, message: `${shell} -n: ${error instanceof Error ? error.message : String(error)}` },
    ];
  }
}
