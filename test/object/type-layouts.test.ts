/**
 * Layouts read from debug information, held against the compiler's own sizeof and offsetof: what is read is written
 * into static assertions, which the compiler then has to agree with.
 */
import { describe, expect, it } from 'vitest';
import { FormatError } from '../../src/diagnostics/error.ts';
import { readObject } from '../../src/elf/read-object.ts';
import {
  differingLayouts,
  type LayoutPool,
  readTypeLayouts,
  SIGNATURE,
  type TypeLayout,
  type TypeLayouts,
} from '../../src/elf/type-layouts.ts';
import { openWorkshop } from '../support/compile.ts';

const source = `
typedef unsigned int __u32;
typedef __u32 u32;
typedef struct { int owner, next; } ticket_t;
struct list { struct list *next, *prev; };
enum state { IDLE, BUSY = 7, DEAD };
union number { long whole; double real; };
struct thing {
  u32 id;
  unsigned char ready : 1, wanted : 2;
  unsigned long mask : 40;
  struct list link;
  union { void *pointer; struct { u32 low, high; }; };
  struct { short port; ticket_t lock; } peers[3];
  const volatile enum state state;
  union number value;
  char name[4][8];
  int (*call)(struct thing *, int);
  int tail[];
} __attribute__((aligned(16)));
struct packed { char a; int b; } __attribute__((packed));
struct absent;
struct absent *other;
struct thing *things;
struct packed pack;
int count(struct thing *thing)
{
  struct local { int x; } here = { thing->id };
  return here.x;
}
`;

function layouts(text: string, pool: LayoutPool = new Map(), flags: readonly string[] = ['-g']): TypeLayouts {
  using workshop = openWorkshop();
  workshop.compile('unit.c', text, ['-O1', '-gdwarf-5', ...flags]);
  const read = readTypeLayouts(readObject(workshop.read('unit.o'), 'unit.o'), pool);
  if (read === undefined) throw new Error('no debug information');
  return read;
}

function only(types: TypeLayouts, name: string): TypeLayout {
  const [layout, ...others] = types.get(name) ?? [];
  if (layout === undefined || others.length > 0) throw new Error(`${name}: ${others.length} more`);
  return layout;
}

/** C that does not compile if the compiler has it otherwise. */
function assertions(types: TypeLayouts): readonly string[] {
  return [...types].flatMap(([name, list]) =>
    list.flatMap((layout) => {
      const type = name.replace(/^typedef /, '');
      const whole = `_Static_assert(sizeof(${type}) == ${layout.size}, "size of ${type}");`;
      const members = layout.members
        .filter(
          ({ path, bitOffset, bitSize }) =>
            bitOffset % 8 === 0 && (bitSize ?? 0) % 8 === 0 && path !== 'mask',
        )
        .flatMap(({ path, bitOffset, bitSize }) => {
          const expression = path.replace(/^peers\./, 'peers[0].');
          const member = `((${type} *)0)->${expression}`;
          return [
            `_Static_assert(__builtin_offsetof(${type}, ${expression}) == ${bitOffset / 8}, "${type} ${path}");`,
            ...(bitSize === undefined
              ? []
              : [`_Static_assert(sizeof(${member}) == ${bitSize / 8}, "${path}");`]),
          ];
        });
      return [whole, ...members];
    }),
  );
}

describe('readTypeLayouts', () => {
  it('is what sizeof and offsetof say, for every member that has an address', () => {
    const read = layouts(source);
    const local = new Map([...read].filter(([name]) => !/ in |^enum|^variable|^function/.test(name)));
    const asserted = assertions(local);
    expect(asserted.length).toBeGreaterThan(40);
    using workshop = openWorkshop();
    workshop.compile('asserted.c', `${source}\n${asserted.join('\n')}\n`, []);
    // And a wrong one is one that the compiler does not accept.
    const wrong =
      asserted.find((line) => line.includes('struct thing link'))?.replace(/== \d+/, '== 17') ?? '';
    expect(() => workshop.compile('wrong.c', `${source}\n${wrong}\n`, [])).toThrow(/static assertion failed/);
  });

  it('knows bit-fields by their bits', () => {
    const { members } = only(layouts(source), 'struct thing');
    const bits = Object.fromEntries(members.map((each) => [each.path, [each.bitOffset, each.bitSize]]));
    expect(bits).toMatchObject({ ready: [32, 1], wanted: [33, 2], mask: [64, 40] });
  });

  it('takes structures without a name apart', () => {
    const { members } = only(layouts(source), 'struct thing');
    const paths = members.map(({ path }) => path);
    expect(paths).toEqual(
      expect.arrayContaining(['pointer', 'low', 'high', 'peers', 'peers.port', 'peers.lock', 'tail']),
    );
    const kinds = Object.fromEntries(members.map(({ path, kind, text }) => [path, [kind, text]]));
    expect(kinds).toMatchObject({
      id: ['number', 'u32'],
      state: ['number', 'enum state'],
      link: ['struct list', 'struct list'],
      'peers.lock': ['typedef ticket_t', 'ticket_t'],
      value: ['union number', 'union number'],
      name: ['number[4][8]', 'char[4][8]'],
      call: ['pointer', 'function *'],
      tail: ['number[]', 'int[]'],
      pointer: ['pointer', 'void *'],
    });
  });

  it('has types of functions, values of enumerations, and where a type is declared', () => {
    const read = layouts(source);
    expect(only(read, 'struct local in count()').size).toBe(4);
    expect(only(read, 'enum state').enumerators).toEqual([
      { name: 'IDLE', value: 0 },
      { name: 'BUSY', value: 7 },
      { name: 'DEAD', value: 8 },
    ]);
    expect(only(read, 'struct packed').line).toBe(
      source.split('\n').findIndex((line) => /struct packed/.test(line)) + 1,
    );
    expect(read.has('struct absent')).toBe(false);
  });

  it('is undefined for an object without debug information', () => {
    using workshop = openWorkshop();
    workshop.compile('unit.c', source, ['-g0']);
    expect(readTypeLayouts(readObject(workshop.read('unit.o'), 'unit.o'), new Map())).toBeUndefined();
  });

  it('refuses another version of the format', () => {
    using workshop = openWorkshop();
    workshop.compile('unit.c', source, ['-g', '-gdwarf-4']);
    expect(() => readTypeLayouts(readObject(workshop.read('unit.o'), 'unit.o'), new Map())).toThrow(
      FormatError,
    );
  });
});

function differing(from: string, to: string): readonly string[] {
  const pool: LayoutPool = new Map();
  const pairs = differingLayouts(layouts(source, pool), layouts(source.replace(from, to), pool));
  return pairs.map(({ name }) => name);
}

function passed(types: TypeLayouts, name: string): readonly string[] {
  return only(types, `function ${name}`).members.map(({ path, kind }) => `${path}: ${kind}`);
}

describe('signatures', () => {
  const code = `
    struct peer { int id; };
    typedef unsigned long size;
    static inline int helper(int a, int b) { return a * b + 1; }
    struct peer *find(struct peer *peers, size count, const char *name) { return &peers[helper(count, name[0])]; }
    void none(void) {}
    extern int outside(int);
    int calls(void) { return outside(1) + helper(1, 2); }`;

  it('have the parameters of the function itself, and none of those that it inlines', () => {
    const types = layouts(code, new Map(), ['-g', '-O2']);
    expect(passed(types, 'find')).toEqual([
      'parameter 1: pointer to struct peer',
      'parameter 2: number',
      'parameter 3: pointer to number',
      'the result: pointer to struct peer',
    ]);
    expect(passed(types, 'none')).toEqual(['the result: void']);
    expect(passed(types, 'helper')).toEqual([
      'parameter 1: number',
      'parameter 2: number',
      'the result: number',
    ]);
    expect(types.has('function outside')).toBe(false);
  });

  it.each([
    ['a parameter more', 'const char *name)', 'const char *name, int flags)', true],
    ['a parameter of another width', 'size count', 'int count', true],
    ['a pointer to something else', 'const char *name', 'const struct peer *name', true],
    ['another result', 'void none(void) {}', 'int none(void) { return 0; }', true],
    ['another name of a parameter', 'const char *name', 'const char *text', false],
    ['another qualifier', 'const char *name', 'char *name', false],
  ])('differ for %s: %s', (_, from, to, differs) => {
    const pool: LayoutPool = new Map();
    const changed = code.replace(from, to).replace(to.includes('*text') ? 'name[0]' : '\0', 'text[0]');
    const body = changed.replace(
      'name[0])',
      changed.includes('struct peer *name') ? 'name->id)' : 'name[0])',
    );
    const pairs = differingLayouts(layouts(code, pool), layouts(body, pool));
    expect(pairs.some(({ name }) => name.startsWith('function '))).toBe(differs);
  });
});

describe('differingLayouts', () => {
  it.each([
    ['a comment', 'u32 id;', '/* who */ u32 id;'],
    ['a signed member', 'u32 id;', 'int id;'],
    ['what a pointer points to', 'struct list *next, *prev;', 'void *next, *prev;'],
    ['a new type', 'struct absent;', 'struct absent { int x; } new;'],
    ['a type that is gone', 'struct packed pack;', ''],
    ['a place in the source', 'struct packed {', '\n\n\nstruct packed {'],
  ])('is empty for %s', (_, from, to) => {
    expect(differing(from, to)).toEqual([]);
  });

  it.each([
    ['a member more', 'u32 id;', 'u32 id; u32 more;', 'struct thing'],
    ['a member that fills a hole', 'wanted : 2;', 'wanted : 2; char hole;', 'struct thing'],
    ['a wider member', 'u32 id;', 'long id;', 'struct thing'],
    ['members that changed places', 'u32 low, high;', 'u32 high, low;', 'struct thing'],
    ['a bit more', 'wanted : 2', 'wanted : 3', 'struct thing'],
    ['a longer array', 'char name[4][8]', 'char name[5][8]', 'struct thing'],
    ['a member of a type without a name', 'short port;', 'short port, other;', 'struct thing'],
    [
      'a type of a function',
      'struct local { int x; }',
      'struct local { long x; }',
      'struct local in count()',
    ],
    ['a packed type', '} __attribute__((packed))', '}', 'struct packed'],
    ['an enumerator', 'BUSY = 7', 'BUSY = 6', 'enum state'],
  ])('has %s', (_, from, to, name) => {
    expect(differing(from, to)).toContain(name);
  });
});

/** Types that differ; signatures of functions have tests of their own. */
function between(
  pre: string,
  post: string,
): readonly (readonly [string, readonly string[], readonly string[]])[] {
  const pool: LayoutPool = new Map();
  const pairs = differingLayouts(layouts(pre, pool), layouts(post, pool));
  const types = pairs.filter(({ name }) => !name.startsWith(SIGNATURE));
  return types.map((pair) => [
    pair.name,
    pair.pre.map(({ name }) => name),
    pair.post.map(({ name }) => name),
  ]);
}

const names = (pre: string, post: string): readonly string[] => between(pre, post).map(([name]) => name);

/** Two functions with a structure of one name; each is kept by the pointer. */
function locals(first: string, second: string): string {
  return `void *take(void *);
    int one(void *p) { struct key { ${first} }; struct key *k = take(p); return k->a; }
    int two(void *p) { struct key { ${second} }; struct key *k = take(p); return k->a; }`;
}

const variable = (members: string): string =>
  `static struct { ${members} } state; int use(void) { return state.a++ + state.b++; }`;

const table = (members: string): string => `const struct { ${members} } list[2] = { { 1, 2 } };`;

const local = (members: string): string =>
  `void give(void *); int f(void) { struct { ${members} } here = { 1, 2 }; give(&here); return here.a; }`;

describe('types that only a variable or a pointer has', () => {
  it.each([
    ['a variable', variable('int a; int b;'), variable('int b; int a;'), 'variable state'],
    [
      'what a pointer in a structure points to',
      'struct table { struct { int a, b; } *rows; }; struct table *t;',
      'struct table { struct { int b, a; } *rows; }; struct table *t;',
      'struct table',
    ],
    [
      'what a pointer points to',
      'struct { int a, b; } *rows;',
      'struct { int a, c, b; } *rows;',
      'variable rows',
    ],
    [
      'a variable that keeps its value between calls',
      'int f(void) { static struct { int a, b; } kept; return kept.a++ + kept.b--; }',
      'int f(void) { static struct { int b, a; } kept; return kept.a++ + kept.b--; }',
      'variable kept in f()',
    ],
    ['a variable of another type', 'unsigned long word;', 'void *word;', 'variable word'],
    ['a variable of another structure', 'struct a { int x; } v;', 'struct b { float y; } v;', 'variable v'],
  ])('are compared: %s', (_, pre, post, name) => {
    expect(names(pre, post)).toEqual([name]);
    expect(names(pre, pre)).toEqual([]);
  });

  it('are not where a variable is constant or lives as long as a call', () => {
    expect(names(table('short a, b;'), table('short b, a;'))).toEqual([]);
    expect(names(local('int a; int b;'), local('int b; int a;'))).toEqual([]);
  });
});

const blocks = (first: string, second: string): string => `void *take(void *);
  int f(void *p) { int sum = 0;
    { struct key { ${first} }; struct key *k = take(p); sum += k->a; }
    { struct key { ${second} }; struct key *k = take(p); sum += k->a; }
    return sum; }`;

describe('types of functions', () => {
  it.each([
    ['the first of two that were alike', locals('int a;', 'int a;'), locals('int b, a;', 'int a;'), 'one'],
    ['the second of them', locals('int a;', 'int a;'), locals('int a;', 'int b, a;'), 'two'],
    ['one that becomes as the other is', locals('int a;', 'int b, a;'), locals('int a;', 'int a;'), 'two'],
    ['two that change places', locals('int a;', 'int b, a;'), locals('int b, a;', 'int a;'), 'one'],
  ])('are told apart by the function: %s', (_, pre, post, name) => {
    expect(names(pre, post)).toContain(`struct key in ${name}()`);
  });

  it('of two blocks are a set', () => {
    expect(names(blocks('int a;', 'int a;'), blocks('int a;', 'int b, a;'))).toEqual(['struct key in f()']);
    expect(names(blocks('int a;', 'int b, a;'), blocks('int a;', 'int a;'))).toEqual(['struct key in f()']);
  });

  it('of a new function are nobody’s', () => {
    const more = `${locals('int a;', 'int a;')}
      int three(void *p) { struct key { long b, a; }; struct key *k = take(p); return k->a; }`;
    expect(names(locals('int a;', 'int a;'), more)).toEqual([]);
  });
});

const node = (type: string, members: string): string =>
  `${type} { ${members} }; int f(${type} *n) { return n->id; }`;

const states = (list: string): string => `enum { ${list} } now; int busy(void) { return now == BUSY; }`;

describe('types of another name', () => {
  it('are compared where one takes the place of another', () => {
    const pre = node('struct node', 'int id; int state; long when;');
    expect(between(pre, node('struct entry', 'int id; int more, state; long when;'))).toEqual([
      ['struct entry', ['struct node'], ['struct entry']],
    ]);
    const typedef =
      'typedef struct { int more, id; int state; long when; } node_t; int f(node_t *n) { return n->id; }';
    expect(names(pre, typedef)).toEqual(['typedef node_t']);
    expect(names(pre, node('struct other', 'int id; long a, b, c;'))).toEqual([]);
  });

  it('are compared where an enumeration has no name, and another first enumerator', () => {
    expect(between(states('IDLE, BUSY'), states('NEW, IDLE, BUSY'))).toEqual([
      ['enum NEW', ['enum IDLE'], ['enum NEW']],
    ]);
  });
});

const read = (value: string): TypeLayout =>
  only(layouts(`enum wide { FIRST, VALUE = ${value} } w;`), 'enum wide');

describe('values of an enumeration', () => {
  it.each([
    ['-1', -1],
    ['1ULL << 63', 1n << 63n],
    ['(1ULL << 63) + 1', (1n << 63n) + 1n],
    ['-0x7fffffffffffffffLL - 1', -(1n << 63n)],
    ['(1ULL << 53) - 1', Number.MAX_SAFE_INTEGER],
    ['1ULL << 53', 1n << 53n],
  ])('are exact: %s', (text, value) => {
    expect(read(text).enumerators).toEqual([
      { name: 'FIRST', value: 0 },
      { name: 'VALUE', value },
    ]);
  });

  it('differ where a number would round them', () => {
    const pre = 'enum wide { VALUE = (1ULL << 63) } w;';
    expect(names(pre, pre.replace('63)', '63) + 1'))).toEqual(['enum wide']);
  });
});
