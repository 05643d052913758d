import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root as commands } from '../../src/cli/run-cli.ts';
import { bashCompletion, completedCommands, fishCompletion, zshCompletion } from './completions.ts';

const described = completedCommands(commands);
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'completions-'));
  writeFileSync(join(folder, 'ksplice'), bashCompletion(described));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** What bash proposes for the last of the words. */
function proposed(...typed: readonly string[]): readonly string[] {
  const script =
    'cd "$1"; . ./ksplice; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ksplice; printf "%s\\n" "${COMPREPLY[@]}"';
  const argv = ['--norc', '-c', script, 'bash', folder, ...typed];
  return execFileSync('bash', argv, { encoding: 'utf8' })
    .split('\n')
    .filter((word) => word !== '');
}

describe('completion', () => {
  it('in bash proposes commands, those below one, flags, and files', () => {
    expect(proposed('ksplice', 'unin')).toEqual(['uninstall']);
    expect(proposed('ksplice', 'boot', '')).toEqual(['apply', 'retry', 'status', 'good', 'shutdown']);
    expect(proposed('ksplice', 'uninstall', '--k')).toEqual(['--kernel']);
    expect(proposed('ksplice', 'key', 'sign', '--ser')).toEqual(['--serial']);
    expect(proposed('ksplice', 'apply', 'kspl')).toEqual(['ksplice']);
    expect(proposed('ksplice', 'apply', '--engine', '')).toEqual(['jump', 'livepatch']);
    expect(proposed('ksplice', 'apply', '--engine', 'l')).toEqual(['livepatch']);
    expect(proposed('ksplice', 'nothing', 'x')).toEqual([]);
  });

  it.each([
    ['bash', bashCompletion],
    ['zsh', zshCompletion],
    ['fish', fishCompletion],
  ])('in %s has every command and every flag', (_, make) => {
    const text = make(described);
    for (const { name, options } of described) {
      expect(text).toContain(name.split(' ').at(-1));
      for (const option of options) expect(text).toMatch(new RegExp(`(?:--|-l )${option.name}\\b`));
    }
  });
});
