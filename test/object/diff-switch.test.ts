/** Tables of switches: an object that is compiled without retpolines jumps through them. */
import { describe, expect, it } from 'vitest';
import { diffSources, errorCodes, extract, replacedNames, sectionNamed } from './diff-compile.ts';

/** Dense cases that no arithmetic stands for; `values` are what they multiply by. */
function chooser(name: string, values: readonly number[]): string {
  const cases = values.map((value, i) => `case ${i}: return use(x) * ${value} + use(${i});`).join('\n');
  return `int ${name}(int which, int x)\n{\nswitch (which) {\n${cases}\n}\nreturn 0;\n}\n`;
}

const values = [3, 1, 4, 1, 5, 9, 2, 6];
const other = [3, 1, 4, 1, 5, 9, 2, 7];
const both = (first: readonly number[]): string =>
  chooser('choose', first) + chooser('pick', [2, 7, 1, 8, 2, 8, 1, 8]);

describe('a function with a table of its switch', () => {
  it('really has one, and is the same as itself', () => {
    const pair = diffSources(both(values), `\n${both(values)}`);
    for (const name of ['.rodata.choose', '.rodata.pick']) {
      expect(sectionNamed(pair.pre, name).relocations).toHaveLength(values.length);
    }
    expect(replacedNames(pair)).toEqual([]);
  });

  it('is replaced where one of the cases changes, and the other one is not', () => {
    const pair = diffSources(both(values), both(other));
    expect(replacedNames(pair)).toEqual(['choose']);
    expect(errorCodes(pair)).toEqual([]);
  });

  it('is replaced where only the table changes: two cases change places', () => {
    const swapped = both(values)
      .replace('case 0:', 'case 9:')
      .replace('case 1:', 'case 0:')
      .replace('case 9:', 'case 1:');
    expect(replacedNames(diffSources(both(values), swapped))).toEqual(['choose']);
  });

  it('comes with its table, which leads into the new code', () => {
    const { written } = extract(diffSources(both(values), both(other)));
    const code = sectionNamed(written, '.text.choose');
    const tables = written.sections.filter(
      ({ name, relocations }) => name.startsWith('.rodata') && relocations.length > 0,
    );
    expect(tables.map(({ relocations }) => relocations.length)).toEqual([values.length]);
    for (const { symbol, addend } of tables[0]?.relocations ?? []) {
      expect(written.symbols[symbol]?.place).toBe(code.index);
      expect(addend).toBeLessThan(code.size);
    }
  });
});
