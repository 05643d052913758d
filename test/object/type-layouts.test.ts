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
    const local = new Map([...read].filter(([name]) => !/local|^enum/.test(name)));
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
    expect(only(read, 'struct local').size).toBe(4);
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
    ['a type of a function', 'struct local { int x; }', 'struct local { long x; }', 'struct local'],
    ['a packed type', '} __attribute__((packed))', '}', 'struct packed'],
    ['an enumerator', 'BUSY = 7', 'BUSY = 6', 'enum state'],
  ])('has %s', (_, from, to, name) => {
    expect(differing(from, to)).toContain(name);
  });
});
