/**
 * A unit that gcc compiled, in a kernel that was linked, booted and rewritten: everything must be explained
 * and everything learnt, on every machine; and any byte that changes must be noticed.
 */
import { describe, expect, it } from 'vitest';
import type { ObjectFile } from '../../src/elf/model.ts';
import { readObject } from '../../src/elf/read-object.ts';
import { toAddress } from '../../src/kernel/address.ts';
import { rewrittenPlaces } from '../../src/kernel/tables/rewritten-places.ts';
import { matchUnit } from '../../src/match/match-unit.ts';
import { reportMismatch } from '../../src/match/mismatch-report.ts';
import { fieldSize } from '../../src/match/relocation-value.ts';
import { openWorkshop } from '../support/compile.ts';
import type { FakeKernel } from '../support/fake-kernel.ts';
import type { Boot } from '../support/kernel-boot.ts';
import { addresses, paravirt, smallKernel } from '../support/small-kernel.ts';
import { staticBranch } from '../support/static-branch.ts';

const flags =
  '-O2 -std=gnu11 -mcmodel=kernel -mno-red-zone -fno-PIE -fno-common -fcf-protection=none -fno-asynchronous-unwind-tables -pg -mfentry -mrecord-mcount -mno-sse -fno-strict-aliasing'.split(
    ' ',
  );

/** Cut down from the kernel's headers: what makes places that are rewritten. */
const source = `
#define noinline __attribute__((__noinline__))
#define TABLE(name, size, entries) ".pushsection " name ",\\"a\\"\\n .balign " #size "\\n" entries " .popsection\\n"
struct static_key { int enabled; };
extern struct static_key key;
${staticBranch()}
int printk(const char *format, ...);
void memcpy_slow(void);
static int counter, limit = 7;
static int table[64];
int shared_state;

__attribute__((cold)) static noinline void complain(int x) { printk("unexpected: %d\\n", x); shared_state = 0; }

static noinline int show(int x)
{
  static int calls;
  if (static_branch(&key))
    counter += 3;
  calls++;
  return printk("%d of %d\\n", table[x & 63] + calls, limit);
}

void set(int a, int b) { limit = a; table[b & 63] = a; }

int handle(int x, int (*callback)(int))
{
  if (__builtin_expect(x > limit, 0))
    complain(x);
  asm volatile("1: lock incl %0\\n" TABLE(".smp_locks", 4, " .long 1b - .\\n") : "+m" (counter));
  asm volatile("661: nop; nop; nop\\n" TABLE(".altinstructions", 1,
    " .long 661b - .\\n .long 664f - .\\n .word 20\\n .byte 3\\n .byte 3\\n")
    ".pushsection .altinstr_replacement,\\"ax\\"\\n 664: .byte 0x0f,0x01,0xcb\\n .popsection\\n");
  asm volatile("661: call memcpy_slow\\n" TABLE(".altinstructions", 1,
    " .long 661b - .\\n .long 664f - .\\n .word 21\\n .byte 5\\n .byte 5\\n")
    ".pushsection .altinstr_replacement,\\"ax\\"\\n 664: call memcpy_fast\\n .popsection\\n" : : : "memory");
  asm volatile("771: call *pv_ops+${paravirt.call * 8}\\n" TABLE(".parainstructions", 8,
    " .quad 771b\\n .byte ${paravirt.call}\\n .byte 7\\n .short 0\\n .balign 8\\n") : : : "memory");
  asm volatile("1: call __SCT__x\\n" TABLE(".static_call_sites", 4,
    " .long 1b - .\\n .long __SCK__x - .\\n") : : : "memory");
  asm volatile("1: call __x86_indirect_thunk_rdx\\n" TABLE(".retpoline_sites", 4, " .long 1b - .\\n")
    : : "d" (callback) : "memory");
  shared_state = show(x);
  return shared_state;
}
asm(".text\\n .globl leave\\n .type leave,@function\\n leave: xor %eax,%eax\\n"
  "1: .byte 0xe9\\n .long __x86_return_thunk - . - 4\\n int3\\n .size leave, .-leave\\n"
  TABLE(".return_sites", 4, " .long 1b - .\\n"));
`;

const bases = { '.text': 0xffffffff81234560n, '.text.unlikely': 0xffffffff81abc001n };

function compileUnit(text: string, extra: readonly string[] = []): ObjectFile {
  using workshop = openWorkshop();
  workshop.compile('unit.c', text, [...flags, ...extra]);
  return readObject(workshop.read('unit.o'), 'unit.o');
}

const unit = compileUnit(source);

function outcomeOf(object: ObjectFile, kernel: FakeKernel): string {
  const result = matchUnit(object, kernel);
  if (result.kind === 'match') return 'match';
  const { mismatch } = result;
  return mismatch.kind === 'code' ? `${mismatch.name}+${mismatch.offset}` : `symbol ${mismatch.name}`;
}

describe('a compiled unit in a booted kernel', () => {
  it.each<readonly [string, Boot, readonly string[]]>([
    [
      'an old machine with one CPU',
      { oneCpu: true, retpolines: 'indirect' },
      [
        'alternative: original',
        'fentry: nop',
        'jump label: nop',
        'lock prefix: one CPU',
        'paravirt: direct call',
        'retpoline: indirect branch',
        'return: plain',
        'static call: direct',
      ],
    ],
    [
      'a new machine, traced',
      {
        features: [20, 21],
        returns: 'thunk',
        retpolines: 'its',
        traced: addresses.ftrace_caller,
        enabled: ['key'],
      },
      [
        'alternative: feature 0*32+20',
        'alternative: feature 0*32+21',
        'fentry: traced',
        'jump label: jump',
        'lock prefix: kept',
        'paravirt: direct call',
        'retpoline: ITS thunk',
        'return: thunk',
        'static call: direct',
      ],
    ],
  ])('%s', (_, boot, explained) => {
    const kernel = smallKernel();
    const loaded = kernel.load(unit, bases, boot);
    const result = matchUnit(unit, kernel);
    if (result.kind !== 'match') throw new Error(JSON.stringify(outcomeOf(unit, kernel)));
    expect([...result.explained.keys()].sort()).toEqual(explained);
    expect(result.values.get('printk')).toBe(addresses.printk);
    expect(result.values.get('shared_state')).toBe(loaded.at('shared_state'));
    expect(result.values.has('__SCT__x')).toBe(false);
    for (const [section, base] of result.bases) {
      expect(base).toBe(loaded.base(unit.sections[section]?.name ?? ''));
    }
    // Statics of file scope and of functions alike are known by where their sections are.
    for (const name of ['counter', 'limit', 'table']) {
      const place = unit.symbols.find((each) => each.name === name)?.place;
      expect(typeof place === 'number' && result.bases.has(place), name).toBe(true);
    }
  });

  it('any byte outside relocated fields and places, changed, is a mismatch at its function and offset', () => {
    const kernel = smallKernel();
    kernel.load(unit, bases);
    const section = unit.sections.find(({ name }) => name === '.text');
    if (section === undefined) throw new Error('no .text');
    const free = new Set(Array.from({ length: section.size }, (_, i) => i));
    for (const each of section.relocations) {
      for (let i = 0; i < fieldSize(each, 'unit.o'); i += 1) free.delete(each.offset + i);
    }
    for (const place of rewrittenPlaces(unit).filter((each) => each.section === section.index)) {
      for (let i = 0; i < place.length; i += 1) free.delete(place.offset + i);
    }
    expect(free.size).toBeGreaterThan(60);
    const functions = unit.symbols
      .filter((each) => each.place === section.index && each.type === 2)
      .sort((a, b) => Number(b.value - a.value));
    for (const offset of free) {
      const at = toAddress(bases['.text'] + BigInt(offset));
      const [before = 0] = kernel.read(at, 1);
      kernel.write(at, [before ^ 0x01]);
      const owner = functions.find(({ value }) => Number(value) <= offset);
      expect(outcomeOf(unit, kernel)).toBe(`${owner?.name}+${offset - Number(owner?.value)}`);
      kernel.write(at, [before]);
    }
    expect(outcomeOf(unit, kernel)).toBe('match');
  });

  it.each([
    ['another constant', 'counter += 3', 'counter += 4'],
    ['another variable', 'counter += 3', 'limit += 3'],
    ['another string', '"%d of', '"%d or'],
    ['another function', 'complain(x);', 'memcpy_slow();'],
    ['a comparison the other way', 'x > limit', 'x >= limit'],
    ['another element', 'table[x & 63]', 'table[x & 31]'],
    ['another static call', 'call __SCT__x', 'call __SCT__y'],
  ])('a kernel made from another source: %s', (_, from, to) => {
    const changed = source
      .replace(from, to)
      .replace('.long __SCK__x', to.includes('__SCT__y') ? '.long __SCK__y' : '.long __SCK__x');
    expect(source).toContain(from);
    const kernel = smallKernel();
    kernel.pointer('__SCK__y', 0xffffffff82f40000n, addresses.printk);
    kernel.define('__SCT__y', 0xffffffff81f06008n);
    kernel.load(compileUnit(changed), bases);
    expect(outcomeOf(unit, kernel)).not.toBe('match');
  });

  it.each([
    [
      'another compiler flag',
      'long first; int second;',
      ['-O1'],
      /another source, configuration or compiler/,
    ],
    ['a struct with another layout', 'long first, more; int second;', [], /a structure with another layout/],
  ] as const)(
    '%s: the first difference, both sides, and the likely cause',
    async (_, members, extra, cause) => {
      const second = (layout: string): string =>
        `${source}\nstruct pair { ${layout} };\nint second(struct pair *p) { return p->second; }\n`;
      const expected = compileUnit(second('long first; int second;'));
      const kernel = smallKernel();
      kernel.load(compileUnit(second(members), extra), bases);
      const result = matchUnit(expected, kernel);
      if (result.kind === 'match') throw new Error('matches');
      const report = await reportMismatch(result.mismatch);
      expect(report.summary).toMatch(/^unit\.o: \w+\+0x[0-9a-f]+: found .* in the kernel, expected /);
      expect(report.cause).toMatch(cause);
      expect(report.running.length).toBeGreaterThan(0);
      expect(report.running).not.toEqual(report.source);
    },
  );
});
