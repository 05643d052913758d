import { describe, expect, it } from 'vitest';
import { escapesBetweenUnits } from '../../src/diff/escapes-between-units.ts';
import type { Replacement } from '../../src/diff/replacement.ts';
import { STB_GLOBAL, STB_LOCAL } from '../../src/elf/constants.ts';
import { rewrittenPlaces } from '../../src/kernel/tables/rewritten-places.ts';
import { diffSources, extract, relocationTexts, sectionNamed } from './diff-compile.ts';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

const stateful = (more: string): string =>
  `int f(int x) { static int state; state += x; return state${more}; }\n`;

const coldCall = (extra: string): string =>
  `void __cold note(int x); int f(int x) { if (unlikely(x < 0)) { note(x); x = use(x)${extra}; } return use(x) + 1; }`;

const scheduling = (value: number): string => `
  #define S __section(".sched.text") noinline
  S static int a(int x) { return use(x); }
  S int f(int x) { return a(x) + ${value}; }
  S static int b(int x) { return use(x) + 1; }
  S int g(int x) { return a(x) + b(x); }`;

describe('extractReplacement: what is in the object', () => {
  it('holds changed functions only, and refers to the rest by the names of pre', () => {
    const rest = `
      static int counter; int shared;
      noinline static int helper(int x) { return use(x) + counter++; }
      int other(int x) { return helper(x); }`;
    const pair = diffSources(
      `${rest} int f(int x) { return helper(x) + shared; }`,
      `${rest} int f(int x) { return helper(x + 1) + shared + counter; }`,
    );
    const found = extract(pair);
    expect(found.functions).toMatchObject([{ name: 'f', preName: 'f', scope: 'global', coldOf: undefined }]);
    expect(found.references.map((each) => `${each.scope} ${each.kind} ${each.preName}`).sort()).toEqual([
      'global object shared',
      'unit function helper',
      'unit object counter',
    ]);
    expect(found.references.find((each) => each.symbol === 'counter')?.pre).toMatchObject({
      sectionName: '.bss.counter',
      offset: 0,
      size: 4,
      owners: ['helper'],
    });
    expect(
      found.written.sections.map((each) => each.name).filter((name) => /text|data|bss/.test(name)),
    ).toEqual(['.text.f', '.rela.text.f']);
    for (const reference of found.references) {
      expect(found.written.symbols[reference.position + 1]?.name).toBe(reference.symbol);
    }
  });

  it('gives a global symbol to what is new under a global name, and to nothing else', () => {
    const { written } = extract(
      diffSources(
        'int f(int x) { return x; }',
        'int fresh; static int own; noinline int add(int x) { return x + fresh; } int f(int x) { return add(x + own++); }',
      ),
    );
    const defined = written.symbols.filter(({ place, name }) => typeof place === 'number' && name !== '');
    expect(
      defined
        .filter(({ binding }) => binding === STB_GLOBAL)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['add', 'fresh']);
    expect(
      defined
        .filter(({ binding }) => binding === STB_LOCAL)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['f', 'own']);
  });

  it('maps a renumbered static local to its number in pre', () => {
    const pair = diffSources(
      `int g(int x) { static int state; return state += use(x); }\n${stateful('')}`,
      `int e(int x) { static int state; return state ^= use(x); }\nint g(int x) { static int state; return state += use(x); }\n${stateful(' + 1')}`,
    );
    const found = extract(pair);
    const reference = found.references.find((each) => each.pre?.base === 'state');
    expect(reference?.pre?.owners).toEqual(['f']);
    // The new function has an object of its own, whatever its number.
    expect(found.data).toMatchObject([{ size: 4, copyOf: undefined }]);
    expect(found.functions.map((each) => [each.name, each.preName])).toEqual([
      ['e', undefined],
      ['f', 'f'],
    ]);
  });

  it('carries strings, constants, and constant tables of its own', () => {
    const pair = diffSources(
      'static const int table[] = {1, 2}; double f(double x, int i) { printk("old"); return x * 1.5 + table[i]; }',
      'static const int table[] = {1, 5}; double f(double x, int i) { printk("new"); return x * 2.5 + table[i]; }',
    );
    const found = extract(pair);
    expect(text(sectionNamed(found.written, '.rodata.str').data)).toContain('new\0');
    const constant = sectionNamed(found.written, '.rodata.cst8');
    expect(new DataView(constant.data.buffer, constant.data.byteOffset).getFloat64(0, true)).toBe(2.5);
    expect([...sectionNamed(found.written, '.rodata.table').data]).toEqual([1, 0, 0, 0, 5, 0, 0, 0]);
    expect(found.data).toMatchObject([{ name: 'table', copyOf: 'table' }]);
  });

  it('keeps the distance of a reference into the middle of an object', () => {
    const data = `
      struct { int a, b[4]; } s;
      __section(".data.x") static int p = 1, q = 2;
      int keep(void) { return p + q; }`;
    const pair = diffSources(
      `${data} void f(void) { s.b[2] = 1; q = 9; p = 9; }`,
      `${data} void f(void) { s.b[3] = 1; q = 8; p = 8; }`,
    );
    const found = extract(pair);
    // movl $imm32, disp32(%rip): the field is 8 bytes before the end of its instruction.
    expect([...relocationTexts(found.written, '.text.f')].sort()).toEqual([
      'undefined:p-8',
      'undefined:q-8',
      'undefined:s+8',
    ]);
    for (const name of ['p', 'q']) {
      const symbol = pair.pre.symbols.find((each) => each.name === name);
      expect(found.references.find((each) => each.symbol === name)?.pre).toMatchObject({
        sectionName: '.data.x',
        offset: Number(symbol?.value),
      });
    }
  });

  it('takes cold parts along, with jumps both ways inside the object', () => {
    const found = extract(diffSources(coldCall(''), coldCall(' + 3')));
    expect(found.functions.map((each) => [each.name, each.coldOf])).toEqual([
      ['f.cold', 'f'],
      ['f', undefined],
    ]);
    expect(relocationTexts(found.written, '.text.f').some((each) => each.startsWith('f.cold'))).toBe(true);
    expect(relocationTexts(found.written, '.text.f.cold').some((each) => each.startsWith('f+'))).toBe(true);
  });

  it('cuts a function out of a shared section, its calls to neighbours included', () => {
    const found = extract(diffSources(scheduling(1), scheduling(2)));
    expect(found.functions.map((each) => each.name)).toEqual(['f']);
    expect(relocationTexts(found.written, '.text.f')).toEqual(['undefined:a-4']);
    expect(found.references).toMatchObject([
      { scope: 'unit', pre: { name: 'a', sectionName: '.sched.text' } },
    ]);
  });
});

const addressTaker = (value: number): string => `
  noinline static int f(int x) { return use(x) + ${value}; }
  int g(int x) { take(f); return f(x) + ${value}; }
  int h(int (*p)(int)) { return p == f; }`;

const externCaller = (value: number): string =>
  `int ext(int); int f(int x) { take(ext); return ext(x) + ${value}; }`;

const selfAddress = (value: number): string =>
  `int f(int x) { here: take(&&here); if (use(x) > ${value}) goto here; return 0; }`;

describe('extractReplacement: what a reference means', () => {
  it('sends calls to the new copy, and stored addresses to the original', () => {
    const found = extract(diffSources(addressTaker(1), addressTaker(2)));
    expect(found.functions.map((each) => each.name)).toEqual(['f', 'g']);
    expect([...relocationTexts(found.written, '.text.g')].sort()).toEqual([
      'f-4',
      'undefined:f+0',
      'undefined:take-4',
    ]);
    expect(found.references.find((each) => each.symbol === 'f')).toMatchObject({
      scope: 'unit',
      kind: 'function',
    });
    expect(found.escapes).toEqual({ escapes: false, reasons: [] });
  });

  it('lists direct calls to what it does not define', () => {
    const found = extract(diffSources(externCaller(1), externCaller(2)));
    const direct = found.directBranches.map(({ section, offset }) => {
      const image = found.object.sections[section];
      const relocation = image?.relocations.find((each) => each.offset === offset);
      return found.object.symbols[relocation?.symbol ?? -1]?.name;
    });
    expect(direct).toEqual(['take', 'ext']);
    expect(relocationTexts(found.written, '.text.f').filter((each) => each.includes('ext'))).toHaveLength(2);
  });

  it('keeps a code address inside the function in the new copy', () => {
    const found = extract(diffSources(selfAddress(1), selfAddress(2)));
    const own = relocationTexts(found.written, '.text.f').filter((each) => each.startsWith('f+'));
    expect(own).toHaveLength(1);
  });
});

const escapesOf = (pre: string, post: string): readonly string[] =>
  extract(diffSources(pre, post)).escapes.reasons;

/** A unit of which a function does this with what another unit brings. */
function uses(body: string): Replacement {
  return extract(
    diffSources('int f(int x) { return x; }', `extern int fresh; int add(int); int f(int x) { ${body} }`),
  );
}

describe('extractReplacement: escapes', () => {
  it('does not count a new function that is only called, nor new data that is only read and written', () => {
    expect(
      escapesOf(
        'int f(int x) { return x; }',
        'static int count; noinline static int fresh(int x) { return use(x) + count++; } int f(int x) { return fresh(x) + fresh(x + 1); }',
      ),
    ).toEqual([]);
  });

  it('counts a new function or object whose address is taken', () => {
    expect(
      escapesOf(
        'int f(int x) { return x; }',
        'static int fresh(int x) { return x; } int f(int x) { take(fresh); return x; }',
      ),
    ).toEqual(['f: takes the address of new function fresh']);
    expect(
      escapesOf(
        'int f(int x) { return x; }',
        'static int fresh[4]; int f(int x) { take(fresh); return fresh[x]; }',
      ),
    ).toEqual(['f: takes the address of new object fresh']);
  });

  it('counts what another unit brings, if its address is taken and not if it is called, read or written', () => {
    const brings = extract(
      diffSources(
        'int a(int x) { return x; }',
        'int fresh; int add(int x) { return x + fresh; } int a(int x) { return add(x); }',
      ),
    );
    const [own, plain, object, code, foreign] = escapesBetweenUnits([
      brings,
      uses('fresh++; return add(x);'),
      uses('take(&fresh); return x;'),
      uses('take(add); return x;'),
      uses('take(use); return x;'),
    ]).map(({ reasons }) => reasons);
    expect([own, plain, foreign]).toEqual([[], [], []]);
    expect(object).toEqual(['f: takes the address of new fresh']);
    expect(code).toEqual(['f: takes the address of new add']);
  });

  it('counts a string that is handed to a function which may keep it, but not one that is printed', () => {
    expect(escapesOf('int f(void) { return 1; }', 'int f(void) { return printk("hello"); }')).toEqual([]);
    expect(escapesOf('int f(void) { return 1; }', 'int f(void) { take("hello"); return 1; }')).toEqual([
      'f: hands out "hello" at +0x7',
    ]);
  });
});

const loadAndWarn = (value: number): string => `
  int f(int *p) {
    int x = ${value};
    asm volatile("1: mov %1, %0\\n2: nop\\n" EX_TABLE(1b, 2b) : "+r"(x) : "m"(*p));
    if (x) WARN();
    return x;
  }`;

const twoAlternatives = (value: number): string =>
  `int f(int x) { asm volatile(ALTERNATIVE("call take", "call use", 77)); asm volatile(ALTERNATIVE("nop", "clac", 12)); return x + ${value}; }`;

const twoKeys = (value: number): string =>
  `struct static_key key; static struct static_key mine; int f(int x) { return static_branch(&key) || static_branch((void *)&mine + 1) ? use(x) : ${value}; }`;

const btfReader = (value: number): string => `
  asm(".pushsection .BTF_ids,\\"a\\"\\n .local ids\\n ids: .local __BTF_ID__struct__task__1\\n __BTF_ID__struct__task__1: .zero 4\\n .popsection");
  extern unsigned int ids[];
  int f(int i) { return ids[i] + ${value}; }`;

describe('extractReplacement: special sections', () => {
  const warning = 'int g(int x) { if (x == 3) WARN(); return use(x); }';

  it('keeps the entries of kept functions, and no others', () => {
    const load =
      'int e(int *p) { int x = 0; asm volatile("1: mov %1, %0\\n2: nop\\n" EX_TABLE(1b, 2b) : "+r"(x) : "m"(*p)); return x; }';
    const found = extract(
      diffSources(`${load} ${loadAndWarn(1)} ${warning}`, `${load} ${loadAndWarn(2)} ${warning}`),
    );
    const table = relocationTexts(found.written, '__ex_table');
    expect(table).toHaveLength(2);
    expect(table.every((each) => each.startsWith('f+'))).toBe(true);
    expect(sectionNamed(found.written, '__bug_table').size).toBe(12);
    expect(relocationTexts(found.written, '__bug_table')[1]).toMatch(/^\.rodata\.str\+/);
  });

  it('splits alternatives, with the replacement each entry names', () => {
    const g = 'void g(void) { asm volatile(ALTERNATIVE("nop", "stac", 12)); }';
    const found = extract(
      diffSources(
        `${g} ${twoAlternatives(1)} ${g.replace('g(', 'h(')}`,
        `${g} ${twoAlternatives(2)} ${g.replace('g(', 'h(')}`,
      ),
    );
    const places = rewrittenPlaces(found.written);
    expect(
      places.map((each) =>
        each.kind === 'alternative'
          ? [each.feature, each.length, Buffer.from(each.replacement.bytes).toString('hex')]
          : each.kind,
      ),
    ).toEqual([
      [77, 5, 'e800000000'],
      [12, 3, '0f01ca'],
    ]);
    expect(relocationTexts(found.written, '.altinstr_replacement')).toEqual(['undefined:use-4']);
    expect(found.directBranches).toHaveLength(2);
  });

  it('binds a jump label to the key in the kernel, flag bits kept', () => {
    const found = extract(diffSources(twoKeys(1), twoKeys(2)));
    const texts = relocationTexts(found.written, '__jump_table');
    expect(texts.filter((each) => each.startsWith('undefined:'))).toEqual([
      'undefined:key+0',
      'undefined:mine+1',
    ]);
    const places = rewrittenPlaces(found.written);
    expect(places.map((each) => each.kind === 'jump-label' && each.branch)).toEqual([false, true]);
  });

  it('keeps once flags of the kernel, and gives new ones a place of their own', () => {
    const found = extract(
      diffSources(
        'int f(int x) { WARN_ONCE(); return use(x); }',
        'int f(int x) { WARN_ONCE(); use(2); WARN_ONCE(); return use(x); }',
      ),
    );
    expect(found.references.filter((each) => each.pre?.base === '__already_done')).toHaveLength(1);
    expect(found.data).toHaveLength(1);
  });

  it('names lists of BTF numbers, which only the kernel has', () => {
    const found = extract(diffSources(btfReader(1), btfReader(2)));
    expect(found.references).toMatchObject([
      { preName: 'ids', scope: 'unit', pre: { sectionName: '.BTF_ids' } },
    ]);
  });

  it('puts new per-CPU data into the one section that modules may have', () => {
    const found = extract(
      diffSources(
        'int f(int x) { return x; }',
        '__section(".data..percpu..shared_aligned") int fresh; int f(int x) { asm volatile("incl %%gs:%0" : "+m"(fresh)); return x; }',
      ),
    );
    expect(sectionNamed(found.written, '.data..percpu').size).toBe(4);
  });
});
