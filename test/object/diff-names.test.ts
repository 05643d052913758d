import { describe, expect, it } from 'vitest';
import { compareUnit, diffCompared } from '../../src/diff/diff-unit.ts';
import { checkLinkedNames, hasLinkedNames, type SymbolTypes } from '../../src/diff/kernel-names.ts';
import { patchDiagnostics } from '../../src/diff/patch-diagnostics.ts';
import type { UnitChange } from '../../src/diff/unit-change.ts';
import { brief, changeAt } from './diff-change.ts';
import { compile } from './diff-compile.ts';

/** A kernel with these symbols. */
const kernel =
  (symbols: Readonly<Record<string, readonly string[]>>): SymbolTypes =>
  (name) =>
    symbols[name] ?? [];

function checked(pre: string, post: string, types: SymbolTypes): UnitChange {
  const { comparison, data } = compareUnit(compile(pre), compile(post));
  const change = diffCompared({ comparison, data });
  expect(hasLinkedNames(comparison, change)).toBe(true);
  return checkLinkedNames(comparison, change, types);
}

const weak = (value: number): string =>
  `__attribute__((weak)) int setup(int x) { return use(x) + ${value}; }\n`;
const work = (value: number): string => `int work(int x) { return use(x) * ${value}; }\n`;

describe('a weak function that the patch changes', () => {
  it('is replaced where the kernel has it', () => {
    const { replaced, diagnostics } = checked(weak(1), weak(2), kernel({ setup: ['W'] }));
    expect(replaced.map(({ name }) => name)).toEqual(['setup']);
    expect(diagnostics).toEqual([]);
  });

  it('is left out where another one has taken its place, and told', () => {
    const { replaced, diagnostics } = checked(
      weak(1) + work(1),
      weak(2) + work(2),
      kernel({ setup: ['T'], work: ['T'] }),
    );
    expect(replaced.map(({ name }) => name)).toEqual(['work']);
    expect(diagnostics.map(brief)).toEqual(['warning overridden_code_changed']);
    expect(diagnostics[0]?.message).toMatch(/^unit\.o: setup: .* in its place .*: no effect$/);
  });

  it('is no update by itself then', () => {
    const change = checked(weak(1), weak(2), kernel({ setup: ['T'] }));
    expect(patchDiagnostics([{ path: 'unit.o', change }]).map(brief)).toEqual([
      'error overridden_code_changed',
    ]);
  });

  it('is not looked for where nothing is weak and nothing new', () => {
    const { comparison, data } = compareUnit(compile(work(1)), compile(work(2)));
    expect(hasLinkedNames(comparison, diffCompared({ comparison, data }))).toBe(false);
  });
});

describe('a new global definition', () => {
  const pre = work(1);
  const post = `int setup(int x) { return use(x); }\n${work(2)}int level = 3;\n`;

  it('is fine where the kernel has no such name, or a static one', () => {
    expect(checked(pre, post, kernel({ setup: ['t', 't'], level: ['d'] })).diagnostics).toEqual([]);
  });

  it('would override a weak one, which unchanged code goes on calling', () => {
    const { diagnostics } = checked(pre, post, kernel({ setup: ['W'] }));
    expect(diagnostics.map(brief)).toEqual(['error name_taken']);
    expect(diagnostics[0]?.message).toMatch(/setup: the patch overrides the weak definition/);
  });

  it.each([
    ['setup', 'T'],
    ['level', 'D'],
  ])('could not be linked beside %s of another file', (name, type) => {
    const { diagnostics } = checked(pre, post, kernel({ [name]: ['t', type] }));
    expect(diagnostics.map(brief)).toEqual(['error name_taken']);
    expect(diagnostics[0]?.message).toMatch(new RegExp(`^unit\\.o: ${name}: .* in another file`));
  });

  it('is no conflict if it is weak itself', () => {
    const { diagnostics } = checked(pre, `${weak(1)}int level = 3;\n${work(2)}`, kernel({ setup: ['T'] }));
    expect(diagnostics).toEqual([]);
  });

  it('may be in one unit of a target only', () => {
    const both = (targets: readonly [string, string]): readonly string[] =>
      patchDiagnostics(
        targets.map((target, i) => ({ path: `${i}.o`, target, change: changeAt(`${i}.o`, pre, post) })),
      ).map(({ message }) => message);
    expect(both(['vmlinux', 'vmlinux'])).toEqual([
      expect.stringMatching(/^1\.o: setup: the patch defines it here and in 0\.o/),
      expect.stringMatching(/^1\.o: level: the patch defines it here and in 0\.o/),
    ]);
    expect(both(['vmlinux', 'ext4'])).toEqual([]);
  });
});
