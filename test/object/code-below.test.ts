import { describe, expect, it } from 'vitest';
import { type CodeBelow, codeBelow, type ItemName, type LevelInput } from '../../src/diff/code-below.ts';
import { compareUnit, diffCompared } from '../../src/diff/diff-unit.ts';
import { extractReplacement } from '../../src/diff/extract-replacement.ts';
import type { ObjectFile } from '../../src/elf/model.ts';
import { writeObject } from '../../src/elf/write-object.ts';
import { compile } from './diff-compile.ts';

/** What an update from one object to the next would do, and what its file would hold. */
function level(id: string, pre: ObjectFile, post: ObjectFile): LevelInput {
  const compared = compareUnit(pre, post);
  const { comparison } = compared;
  const change = diffCompared(compared);
  return { id, comparison, change, replacement: writeObject(extractReplacement(comparison, change).object) };
}

const kept = 'static int total; int keep(int x) { return total += use(x); }\n';
const original = `${kept}int f(int x) { return use(x) + 1; }\nint g(int x) { return use(x) + 7; }\n`;
/** f is replaced; `note` and its counter are new. */
const first = `${kept}noinline static int note(int x) { static int seen; return seen += use(x); }
int f(int x) { return note(x) + 1; }\nint g(int x) { return use(x) + 7; }\n`;
/** On top of that: what is new is replaced, and g of the original. */
const second = `${kept}noinline static int note(int x) { static int seen; return seen -= use(x); }
int f(int x) { return note(x) + 1; }\nint g(int x) { return note(x) + 8; }\n`;

function nameIn({ symbols, sections }: ObjectFile, base: string): ItemName {
  const symbol = symbols.find(
    ({ name, place }) => name.replace(/\.\d+$/, '') === base && typeof place === 'number',
  );
  const section = typeof symbol?.place === 'number' ? sections[symbol.place] : undefined;
  if (symbol === undefined || section === undefined) throw new Error(`no ${base}`);
  return { name: symbol.name, sectionName: section.name, offset: Number(symbol.value) };
}

const owners = (code: CodeBelow, top: ObjectFile, base: string): readonly (string | undefined)[] => {
  const { name } = nameIn(top, base);
  return [code.codeOf(name).owner, code.meaningOf(nameIn(top, base)).owner];
};

describe('code of updates below', () => {
  const objects = [original, first, second].map((source) => compile(source));
  const [zero, one, two] = objects;
  if (zero === undefined || one === undefined || two === undefined) throw new Error('nothing compiled');
  it('a function is called in the newest code, and known by the address of the original', () => {
    const code = codeBelow([level('a', zero, one)]);
    expect(owners(code, one, 'f')).toEqual(['a', undefined]);
    expect(owners(code, one, 'note')).toEqual(['a', 'a']);
    expect(owners(code, one, 'g')).toEqual([undefined, undefined]);
  });

  it('is followed down through several, each to the one that brought it', () => {
    const code = codeBelow([level('a', zero, one), level('b', one, two)]);
    expect(owners(code, two, 'f')).toEqual(['a', undefined]);
    expect(owners(code, two, 'note')).toEqual(['b', 'a']);
    expect(owners(code, two, 'g')).toEqual(['b', undefined]);
    expect(owners(code, two, 'keep')).toEqual([undefined, undefined]);
  });

  it("data is the kernel's own, or of the update that brought it", () => {
    const code = codeBelow([level('a', zero, one), level('b', one, two)]);
    expect(code.meaningOf(nameIn(two, 'total'))).toEqual({ owner: undefined, name: 'total' });
    expect(code.meaningOf(nameIn(two, 'seen'))).toEqual({ owner: 'a', name: nameIn(one, 'seen').name });
  });

  it('an update that was made from another source is refused', () => {
    const other = compile(first.replace('seen +=', 'seen ^='));
    const wrong = { ...level('a', zero, one), replacement: level('a', zero, other).replacement };
    expect(() => codeBelow([wrong])).toThrow(
      /its patch gives other replacement code, expected what a has in its file/,
    );
  });

  it('an update that has no code for a unit which its patch changes is refused', () => {
    expect(() => codeBelow([{ ...level('a', zero, one), replacement: undefined }])).toThrow(
      /its patch changes code, expected what a leaves as it was/,
    );
    const compared = compareUnit(zero, compile(`\n${original}`));
    const unchanged = {
      id: 'a',
      comparison: compared.comparison,
      change: diffCompared(compared),
      replacement: undefined,
    };
    expect(codeBelow([unchanged]).codeOf('f')).toEqual({ owner: undefined, name: 'f' });
  });
});
