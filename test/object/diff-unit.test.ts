import { describe, expect, it } from 'vitest';
import { hasNoEffect, isEmptyChange } from '../../src/diff/unit-change.ts';
import { diffSources, errorCodes, replacedNames } from './diff-compile.ts';

describe('diffUnit: what is no change', () => {
  it('the same source twice', () => {
    const source = 'static int n; int f(int x) { return printk("%d", n++) + use(x); }';
    const pair = diffSources(source, source);
    expect(isEmptyChange(pair.change)).toBe(true);
    expect(pair.change).toMatchObject({ diagnostics: [], newData: [], unchanged: 1 });
  });

  it('lines added above, although bug tables have line numbers', () => {
    const source = 'int f(int x) { if (x) WARN(); WARN_ONCE(); return use(x); }';
    const pair = diffSources(source, `\n\n\n${source}`);
    expect(isEmptyChange(pair.change)).toBe(true);
    expect(pair.change.diagnostics.map((each) => each.code)).toEqual(['line_numbers_only']);
  });

  it('text that ends in the line of its place', () => {
    const pair = diffSources(
      'int f(void) { return printk("field \\"x\\" at net/core/dev.c:120"); }',
      'int f(void) { return printk("field \\"x\\" at net/core/dev.c:1121"); }',
    );
    expect(isEmptyChange(pair.change)).toBe(true);
  });

  it('another order of special sections, because a function in front has the first entry of one', () => {
    const rest = `static struct static_key key; int f(int x) { if (static_branch(&key)) x++; WARN(); return use(x); }`;
    const pair = diffSources(rest, `int g(int x) { WARN(); return use(x); }\n#line 1 "unit.c"\n${rest}`);
    const order = ({ pre, post }: typeof pair): readonly (readonly string[])[] =>
      [pre, post].map(({ sections }) =>
        sections.map(({ name }) => name).filter((name) => name === '__bug_table' || name === '__jump_table'),
      );
    expect(order(pair)[0]).not.toEqual(order(pair)[1]);
    expect(replacedNames(pair)).toEqual([]);
  });

  it('functions in another order', () => {
    const f = 'noinline static int f(int x) { static int n; return n += use(x); }\n';
    const g = 'noinline static int g(int x) { static int n; return n -= use(x); }\n';
    const h = 'int h(int x) { return f(x) + g(x); }\n';
    expect(isEmptyChange(diffSources(f + g + h, g + f + h).change)).toBe(true);
  });

  it('other numbers of static locals, when one is added in front', () => {
    const f = 'int f(int x) { static int state; return state += use(x); }\n';
    const g = 'int g(int x) { WARN_ONCE(); WARN_ONCE(); return use(x); }\n';
    const pair = diffSources(
      `int first(void) { return 1; }\n${f}${g}`,
      `int first(void) { static int state; WARN_ONCE(); return state++; }\n${f}${g}`,
    );
    expect(replacedNames(pair)).toEqual(['first']);
    expect(errorCodes(pair)).toEqual([]);
    expect(pair.change.newData.map((each) => each.name.replace(/\d+/, 'N')).sort()).toEqual([
      '__already_done.N',
      'state.N',
    ]);
  });
});

const counting = (use: string): string =>
  `int f(int x) { static int count; return use(x) + ${use}; }\nint g(int x) { return use(x); }\n`;

describe('diffUnit: a variable that the patched code only reads', () => {
  const read = '*(const volatile int *)&count';

  it('is a constant to the compiler, and stays the variable of the kernel with its value', () => {
    const pair = diffSources(counting(`count++ + ${read}`), counting(read));
    const [before, after] = [pair.pre, pair.post].map(({ sections }) =>
      sections.map(({ name }) => name).find((name) => /\bcount\b/.test(name)),
    );
    expect([before, after]).toEqual([
      expect.stringMatching(/^\.bss\.count/),
      expect.stringMatching(/^\.rodata\.count/),
    ]);
    expect(replacedNames(pair)).toEqual(['f']);
    expect(pair.change).toMatchObject({ diagnostics: [], newData: [], copiedData: [], changedData: [] });
  });

  it('is refused the other way round: the constant of the kernel cannot be written', () => {
    const pair = diffSources(counting(read), counting(`count++ + ${read}`));
    expect(errorCodes(pair)).toEqual(['data_layout_changed']);
  });
});

const coldCall = (text: string): string =>
  `void __cold note(int x); int f(int x) { if (unlikely(x < 0)) { note(x); x = use(x) + printk("${text}"); } return use(x) + 1; }`;

const loadWithFixup = (fixup: string): string =>
  `int f(int *p) { int x = 5; asm volatile("1: mov %1, %0\\n2: nop\\n3:" EX_TABLE(1b, ${fixup}) : "+r"(x) : "m"(*p)); return x; }`;

const oneAlternative = (instruction: string): string =>
  `void f(void) { asm volatile(ALTERNATIVE("nop", "${instruction}", 12)); }`;

const branchOn = (key: string): string =>
  `struct static_key a, b; int f(int x) { return static_branch(&${key}) ? use(x) : 0; }`;

const calling = (callee: string): string => `
  #define S __section(".sched.text") noinline
  S static int a(int x) { return use(x); }
  S static int b(int x) { return use(x) + 1; }
  S int f(int x) { return ${callee}(x) * 3; }
  S int g(int x) { return a(x) + b(x); }`;

const growing = (more: string): string => `
  #define S __section(".sched.text") noinline
  S static int a(int x) { return use(x)${more}; }
  S static int b(int x) { return use(x) + 1; }
  S int f(int x) { return a(x) + b(x); }`;

describe('diffUnit: changed functions', () => {
  it('finds the one that differs, and says where', () => {
    const pair = diffSources(
      'int f(int x) { return x + 1; } int g(int x) { return x; }',
      'int f(int x) { return x + 2; } int g(int x) { return x; }',
    );
    expect(replacedNames(pair)).toEqual(['f']);
    expect(pair.change.replaced[0]?.why).toEqual(['bytes differ at +0x2']);
    expect(pair.change.unchanged).toBe(1);
  });

  it('finds every function that inlined a changed one', () => {
    const rest =
      'int f(int x) { return check(x); } int g(int x) { return use(x); } int h(int x) { return check(x); }';
    const pair = diffSources(
      `static inline int check(int x) { return x > 1; } ${rest}`,
      `static inline int check(int x) { return x > 2; } ${rest}`,
    );
    expect(replacedNames(pair)).toEqual(['f', 'h']);
  });

  it('finds a call that goes elsewhere, though no byte differs', () => {
    const helpers =
      'noinline static int a(int x) { return use(x); } noinline static int b(int x) { return use(x) ^ 1; }';
    const pair = diffSources(
      `${helpers} int f(int x) { return a(x) * 3; } int g(int x) { return b(x); } int h(int x) { return a(x); }`,
      `${helpers} int f(int x) { return b(x) * 3; } int g(int x) { return b(x); } int h(int x) { return a(x); }`,
    );
    expect(replacedNames(pair)).toEqual(['f']);
    expect(pair.change.replaced[0]?.why[0]).toMatch(/refers to b.*before to a/);
  });

  it('finds another object of one section, told apart only by the addend', () => {
    const data =
      '__section(".data.shared") int a = 1; __section(".data.shared") static int b = 2; int keep(void) { return b; }';
    const pair = diffSources(
      `${data} int f(void) { b = 7; return 0; }`,
      `${data} int f(void) { a = 7; return 0; }`,
    );
    expect(replacedNames(pair)).toEqual(['f']);
  });

  it('finds a changed string and a changed constant', () => {
    const pair = diffSources(
      'int f(void) { return printk("old"); } double g(double x) { return x * 3.5; }',
      'int f(void) { return printk("new"); } double g(double x) { return x * 4.5; }',
    );
    expect(replacedNames(pair)).toEqual(['f', 'g']);
    expect(pair.change.replaced[0]?.why).toEqual(['+0x3 refers to "new", before to "old"']);
  });

  it('replaces a function whose cold part alone differs, and names both cold parts', () => {
    const pair = diffSources(coldCall('one'), coldCall('two'));
    expect(replacedNames(pair)).toEqual(['f']);
    const [f] = pair.change.replaced;
    expect([f?.preCold.map((each) => each.name), f?.postCold.map((each) => each.name)]).toEqual([
      ['f.cold'],
      ['f.cold'],
    ]);
    expect(f?.why[0]).toMatch(/^f\.cold: /);
  });

  it('counts a clone of another shape as new, the old one as removed', () => {
    const pair = diffSources(
      'noinline static int f(int a, int b) { return use(a); } int g(int x) { return f(x, 1) + 1; }',
      'noinline static int f(int a, int b) { return use(a) + use(b); } int g(int x) { return f(x, use(x)) + 1; }',
    );
    expect(replacedNames(pair)).toEqual(['g']);
    expect(pair.change.newFunctions.map((each) => each.name)).toEqual(['f']);
    expect(pair.change.removedFunctions.map((each) => each.name.replace(/\d/, 'N'))).toEqual([
      'f.constprop.N',
    ]);
  });

  it('leaves out new functions that nothing kept can come to', () => {
    const boot = '__section(".init.text") int setup(void) { return fresh(1); }';
    const pair = diffSources(
      'int f(int x) { return x; }',
      `noinline static int fresh(int x) { return use(x); } ${boot} int g(void) { return 4; } int f(int x) { return x + 1; }`,
    );
    expect(pair.change.newFunctions.map((each) => each.name)).toEqual(['g']);
  });

  it('takes a changed entry in a special section for a changed function', () => {
    expect(replacedNames(diffSources(loadWithFixup('2b'), loadWithFixup('3b')))).toEqual(['f']);
    expect(replacedNames(diffSources(oneAlternative('stac'), oneAlternative('clac')))).toEqual(['f']);
    const pair = diffSources(branchOn('a'), branchOn('b'));
    expect(pair.change.replaced.map((each) => each.why[0])).toEqual(['__jump_table: key for +0x0 differs']);
  });

  it('sees calls between functions that share a section', () => {
    expect(replacedNames(diffSources(calling('a'), calling('b')))).toEqual(['f']);
  });

  it('is not misled by a neighbour that grows in a shared section', () => {
    expect(replacedNames(diffSources(growing(''), growing(' * 1234567 + use(8)')))).toEqual(['a']);
  });
});

const countingUser = (name: string, body: string): string =>
  `int ${name}(int x) { static int n; n += x; ${body} return n; }\n`;

/** Two objects of one name, of which the code uses this part. */
function twoLimits(name: string, part: number): string {
  return `
    #define LIMITED(n) ({ static long ${name}[2] = { 7, 8 }; if (${name}[${part}] < 5) ${name}[${part}] += n; })
    int f(int x) { LIMITED(x); LIMITED(x * 3); return use(x); }`;
}

it('diffUnit: a new function that nobody calls has no effect, as when an inlined one is no longer static', () => {
  const inlined = 'static int twice(int x) { return x * 2; } int f(int x) { return twice(x); }';
  const made = diffSources(inlined, inlined.replace('static ', ''));
  expect(made.change.newFunctions.map(({ name }) => name)).toEqual(['twice']);
  expect([isEmptyChange(made.change), hasNoEffect(made.change)]).toEqual([false, true]);
  const called = diffSources(
    'int f(int x) { return x; }',
    'int g(void); int f(int x) { return x + g(); } int g(void) { return use(1); }',
  );
  expect(hasNoEffect(called.change)).toBe(false);
});

describe('diffUnit: data', () => {
  const reader = 'int f(void) { return use(table[1]); }';

  it('refuses changed contents of existing data, by name, with advice', () => {
    const pair = diffSources(`int table[2] = {1, 2}; ${reader}`, `int table[2] = {1, 3}; ${reader}`);
    expect(errorCodes(pair)).toEqual(['data_changed']);
    expect(pair.change.diagnostics[0]).toMatchObject({
      message: 'unit.o: table: existing data is changed by the patch (bytes differ at +0x4)',
      hint: expect.stringContaining('hook'),
    });
  });

  it('refuses a changed size, in data and in bss, and a pointer to something else', () => {
    const size = diffSources(`int table[2]; ${reader}`, `int table[3]; ${reader}`);
    expect(errorCodes(size)).toEqual(['data_layout_changed']);
    const local = diffSources(
      'int f(int i) { static char buffer[8]; take(buffer); return buffer[i]; }',
      'int f(int i) { static char buffer[9]; take(buffer); return buffer[i]; }',
    );
    expect(errorCodes(local)).toEqual(['data_layout_changed']);
    const pointer = diffSources(
      'int a(int x) { return x; } int b(int x) { return x * 2; } int (*const ops[])(int) = {a};',
      'int a(int x) { return x; } int b(int x) { return x * 2; } int (*const ops[])(int) = {b};',
    );
    expect(errorCodes(pointer)).toEqual(['data_changed']);
  });

  it('does not advise to write to what the kernel protects', () => {
    const ops = (name: string): string =>
      `int a(int x) { return x; } int b(int x) { return x * 2; } int (*const ops[])(int) = {${name}};`;
    const late = (value: number): string =>
      `__attribute__((section(".data..ro_after_init"))) int table[2] = {1, ${value}}; ${reader}`;
    for (const pair of [diffSources(ops('a'), ops('b')), diffSources(late(2), late(3))]) {
      expect(pair.change.diagnostics).toMatchObject([
        { code: 'data_changed', hint: expect.stringContaining('write-protected') },
      ]);
    }
  });

  it('does not take a pointer to a changed function for changed data', () => {
    const ops = 'int (*const ops[])(int) = {a};';
    const pair = diffSources(`int a(int x) { return x; } ${ops}`, `int a(int x) { return x + 1; } ${ops}`);
    expect([replacedNames(pair), errorCodes(pair)]).toEqual([['a'], []]);
  });

  it('copies a changed constant table that only functions use, and replaces all of them', () => {
    const rest =
      'int f(int i) { return table[i]; } int g(int i) { return table[i & 1] + 1; } int h(int i) { return i; }';
    const pair = diffSources(
      `static const int table[] = {3, 1, 4}; ${rest}`,
      `static const int table[] = {3, 1, 4, 1}; ${rest}`,
    );
    expect([replacedNames(pair), errorCodes(pair)]).toEqual([['f', 'g'], []]);
    expect(pair.change.copiedData.map((each) => each.name)).toEqual(['table']);
  });

  it('takes rate limits of messages that cannot be told apart for new ones, and nothing else', () => {
    // Another part is used after the patch: nothing tells which of the two is which.
    const [state, limit] = ['state', '_rs'].map((name) =>
      diffSources(twoLimits(name, 0), twoLimits(name, 1)),
    );
    expect(state === undefined ? [] : errorCodes(state)).toEqual(['ambiguous_object', 'ambiguous_object']);
    expect(limit === undefined ? ['?'] : errorCodes(limit)).toEqual([]);
  });

  it('tells objects of one name apart by the functions that use them', () => {
    const pair = diffSources(
      countingUser('a', '') + countingUser('b', 'use(1);') + countingUser('c', 'use(2);'),
      countingUser('c', 'use(3);') + countingUser('a', '') + countingUser('b', 'use(1);'),
    );
    expect([replacedNames(pair), errorCodes(pair)]).toEqual([['c'], []]);
    expect(pair.change.newData).toEqual([]);
  });
});

const bootFunction = (text: string): string =>
  `__section(".init.text") int setup(void) { return printk("${text}"); }`;

const noinstrReturning = (value: number): string =>
  `__section(".noinstr.text") int f(void) { return ${value}; }`;

const threeReasons = (n: number): string =>
  `int table = ${n}; int other = ${n}; __section(".noinstr.text") int f(void) { return ${n}; }`;

describe('diffUnit: what an update cannot do', () => {
  it('refuses a section it does not know, by name', () => {
    const source = 'int f(void) { return 1; } __section("__my_table") int entry = 1;';
    const pair = diffSources(source, source);
    expect(pair.change.diagnostics.map((each) => each.message).join()).toContain(
      'section __my_table is not known',
    );
    expect(errorCodes(pair)).toEqual(['unknown_section']);
  });

  it('warns of boot code, and makes the rest', () => {
    const both = diffSources(
      `${bootFunction('a')} int f(void) { return 1; }`,
      `${bootFunction('b')} int f(void) { return 2; }`,
    );
    expect([replacedNames(both), errorCodes(both)]).toEqual([['f'], []]);
    expect(both.change.diagnostics.map((each) => [each.code, each.severity])).toEqual([
      ['init_code_changed', 'warning'],
    ]);
  });

  it('refuses noinstr and entry code by section', () => {
    const pair = diffSources(noinstrReturning(1), noinstrReturning(2));
    expect([replacedNames(pair), errorCodes(pair)]).toEqual([[], ['restricted_code_changed']]);
  });

  it('lists every reason at once', () => {
    expect([...errorCodes(diffSources(threeReasons(1), threeReasons(2)))].sort()).toEqual([
      'data_changed',
      'data_changed',
      'restricted_code_changed',
    ]);
  });
});
