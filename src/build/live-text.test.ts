import { describe, expect, it } from 'vitest';
import { dropsUnused, liveText } from './live-text.ts';

const user = 'int user(void) { return used(1); }';

/** Whether a declaration makes a difference to a unit that has `rest` besides. */
function matters(before: string, after: string, rest: string): boolean {
  return liveText(`${before}\n${rest}`) !== liveText(`${after}\n${rest}`);
}

describe('declarations that nothing reaches', () => {
  it.each([
    ['static inline int idle(int x) { return x; }', 'static inline int idle(int x) { return x + 1; }'],
    [
      'static inline __attribute__((__gnu_inline__)) struct a *idle(int x) { return 0; }',
      'static inline __attribute__((__gnu_inline__)) struct a *idle(int x) { return (void *)1; }',
    ],
    ['struct idle { int a; };', 'struct idle { int a; int b; };'],
    ['enum { IDLE_A, IDLE_B };', 'enum { IDLE_A, IDLE_NEW, IDLE_B };'],
    ['typedef struct { int a; } idle_t;', 'typedef struct { long a; } idle_t;'],
    ['typedef int (*idle_fn)(int);', 'typedef int (*idle_fn)(long);'],
    ['int idle(int x);', 'long idle(int x);'],
    ['extern struct a idle[], other;', 'extern const struct a idle[], other;'],
    ['', 'static inline int other(void); static inline int other(void) { return idle(); }'],
  ])('make no difference: %s', (before, after) => {
    expect(matters(before, after, user)).toBe(false);
  });

  it('make none where only others of their kind reach them', () => {
    const rest = `static inline int caller(void) { return idle(1); }\n${user}`;
    expect(
      matters('static int idle(int x) { return x; }', 'static int idle(int x) { return 2; }', rest),
    ).toBe(false);
  });
});

describe('declarations that make a difference', () => {
  it.each([
    ['static inline int used(int x) { return x; }', 'static inline int used(int x) { return 0; }', user],
    ['int global(void) { return 1; }', 'int global(void) { return 2; }', user],
    ['static int object = 1;', 'static int object = 2;', user],
    ['int (*pointer)(int);', 'int (*pointer)(long);', user],
    ['foo_t (*pointer);', 'bar_t (*pointer);', user],
    ['extern int (*hook)(int);', 'extern int (*hook)(long);', 'int f(void) { return hook(1); }'],
    ['asm(".long 1");', 'asm(".long 2");', user],
    ['#pragma pack(1)', '#pragma pack(2)', user],
    [
      'static int __attribute__((used)) kept(void) { return 1; }',
      'static int __attribute__((used)) kept(void) { return 2; }',
      user,
    ],
    ['struct s { int a; };', 'struct s { int b; int a; };', 'int f(struct s *s) { return s->a; }'],
    ['enum e { A, B };', 'enum e { NEW, A, B };', 'int f(void) { return B; }'],
    ['struct o { enum { A, B } e; };', 'struct o { enum { NEW, A, B } e; };', 'int f(void) { return B; }'],
    [
      'struct in { int a; }; struct s { struct in in; };',
      'struct in { long a; }; struct s { struct in in; };',
      'int f(struct s *s) { return sizeof(*s); }',
    ],
    [
      'struct __attribute__((packed)) s { int a; };',
      'struct __attribute__((packed)) s { long a; };',
      'int f(struct s *s) { return sizeof(*s); }',
    ],
    ['typedef struct { int a; } t;', 'typedef struct { long a; } t;', 'int f(t *x) { return sizeof(*x); }'],
    ['int used(int) __attribute__((const));', 'int used(int);', user],
    [
      'static int a1(void) { return 1; }',
      'static int a1(void) { return 2; }',
      'int b(void) __attribute__((alias("a1")));',
    ],
    [
      'static inline int in(void) { return 1; } static inline int out(void) { return in(); }',
      'static inline int in(void) { return 2; } static inline int out(void) { return in(); }',
      'static const struct ops ops = { .out = out }; const void *f(void) { return &ops; }',
    ],
  ])('%s', (before, after, rest) => {
    expect(matters(before, after, rest)).toBe(true);
  });

  it('are seen whatever their strings and initial values look like', () => {
    const rest = 'static const struct x y = { .a = (struct z) { "}" , \'"\' } }; int f(void) { return y.a; }';
    expect(matters('static int f2(void) { return 1; }', 'static int f2(void) { return 2; }', rest)).toBe(
      false,
    );
    expect(matters(rest, rest.replace('"}"', '"{"'), user)).toBe(true);
  });
});

describe('a compiler that leaves out unused functions', () => {
  it.each([
    [['gcc', '-O2'], true],
    [['gcc', '-O2', '-O0'], false],
    [['gcc'], false],
    [['gcc', '-Os', '-fkeep-inline-functions'], false],
    [['gcc', '-O2', '-fno-toplevel-reorder'], false],
  ] as const)('%s: %s', (compiler, expected) => {
    expect(dropsUnused(compiler)).toBe(expected);
  });
});
