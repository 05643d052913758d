/**
 * One source, compiled both ways: plainly, and with a section for each function and object. The tolerant mode takes the
 * second and has to find it in a kernel made from either; what is no matter of layout is a mismatch as ever.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { STT_FUNC } from '../../src/elf/constants.ts';
import type { ObjectFile } from '../../src/elf/model.ts';
import { readObject } from '../../src/elf/read-object.ts';
import { addressAt, toAddress } from '../../src/kernel/address.ts';
import { addressOf, matchUnit, type UnitMatch } from '../../src/match/match-unit.ts';
import { type Decoder, loadDecoder } from '../../src/x86/decoder.ts';
import { openWorkshop } from '../support/compile.ts';
import type { FakeKernel } from '../support/fake-kernel.ts';
import type { Boot } from '../support/kernel-boot.ts';
import { addresses, smallKernel } from '../support/small-kernel.ts';
import { staticBranch } from '../support/static-branch.ts';

const flags =
  '-O2 -std=gnu11 -mcmodel=kernel -mno-red-zone -fno-PIE -fno-common -fcf-protection=none -fno-asynchronous-unwind-tables -pg -mfentry -mrecord-mcount -mno-sse -fno-strict-aliasing -fno-inline'.split(
    ' ',
  );
const sectioned = ['-ffunction-sections', '-fdata-sections'];

/** Tail calls, cold parts, switch tables, aligned loops, branches by keys: all that layout changes. */
const source = `
#define TABLE(name, size, entries) ".pushsection " name ",\\"a\\"\\n .balign " #size "\\n" entries " .popsection\\n"
struct static_key { int enabled; };
extern struct static_key key;
${staticBranch('jmp %l[yes]')}
int printk(const char *format, ...);
__attribute__((cold, noreturn)) void panic(const char *format, ...);
static int counter, limit = 7;
static const int weights[] = { 3, 1, 4, 1, 5 };
int shared_state;

void set(int a) { limit = a; }

static int last(int x) { return printk("%d\\n", x + limit); }
static int middle(int x) { counter += x; return last(x); }

int sum(const int *from, int count)
{
  int total = 0;
  if (count > 5)
    panic("too many: %d\\n", count);
  for (int i = 0; i < count; i++)
    total += from[i] * weights[i];
  counter = total;
  return total > 3 ? middle(total) : total;
}

int choose(int which)
{
  switch (which) {
  case 0: return printk("none\\n");
  case 1: shared_state = 4; return middle(8);
  case 2: return last(counter);
  case 3: counter = 1; return 77;
  case 4: return sum(weights, 3);
  case 5: return limit * 9;
  default: return -22;
  }
}

int turn(int x)
{
  static int turns;
  if (static_branch(&key))
    turns += 3;
  asm volatile("1: lock incl %0\\n" TABLE(".smp_locks", 4, " .long 1b - .\\n") : "+m" (counter));
  turns++;
  return choose(x + turns);
}
`;

const bases = { '.text': 0xffffffff81234560n, '.text.unlikely': 0xffffffff81abc001n };

function compileUnit(text: string, extra: readonly string[]): ObjectFile {
  using workshop = openWorkshop();
  workshop.compile('unit.c', text, [...flags, ...extra]);
  return readObject(workshop.read('unit.o'), 'unit.o');
}

const plain = compileUnit(source, ['-falign-loops=16']);
const pieces = compileUnit(source, sectioned);
let decoder: Decoder;

beforeAll(async () => {
  decoder = await loadDecoder();
});

function kernelOf(object: ObjectFile, boot: Boot = {}): FakeKernel {
  const kernel = smallKernel();
  kernel.define('panic', 0xffffffff81e80000n);
  kernel.load(object, bases, boot);
  return kernel;
}

function matched(kernel: FakeKernel, object = pieces): UnitMatch | string {
  const result = matchUnit(object, kernel, { tolerant: { decoder } });
  if (result.kind === 'match') return result;
  const { mismatch } = result;
  return mismatch.kind === 'code'
    ? `${mismatch.name}+${mismatch.offset}`
    : `${mismatch.name}: found ${mismatch.found}, expected ${mismatch.expected}`;
}

const functions = ['last', 'middle', 'sum', 'sum.cold', 'choose', 'turn'];

describe('the same source, compiled both ways', () => {
  it('is not the same to the strict mode', () => {
    expect(matchUnit(pieces, kernelOf(plain)).kind).toBe('mismatch');
    expect(plain.sections.filter(({ name }) => name === '.text')).toHaveLength(1);
    expect(pieces.sections.find(({ name }) => name === '.text.choose')?.size).toBeGreaterThan(50);
  });

  it.each([
    ['laid out plainly', plain, {}],
    [
      'laid out plainly, and traced, with one CPU and a key that is on',
      plain,
      { oneCpu: true, enabled: ['key'], traced: addresses.ftrace_caller },
    ],
    ['with a section for each function', pieces, {}],
    ['with a section for each function, and a key that is on', pieces, { enabled: ['key'] }],
  ] as const)('is found in a kernel that is %s', (_, object, boot) => {
    const kernel = kernelOf(object, boot);
    const result = matched(kernel);
    if (typeof result === 'string') throw new Error(result);
    expect(result.mode).toBe('tolerant');
    for (const name of functions) {
      const symbol = pieces.symbols.find((each) => each.name === name);
      if (typeof symbol?.place !== 'number') throw new Error(name);
      expect(addressOf(result, symbol.place, symbol.value), name).toBe(kernel.named(name)[0]?.address);
      // What is kept of the old code is what is in memory, and ends where the function does.
      const text = result.text.get(symbol.place);
      const size = object.symbols.find((each) => each.name === name)?.size ?? 0;
      expect(text?.run.length, name).toBe(size);
      expect(text?.run).toEqual(kernel.read(text?.base ?? toAddress(0n), size));
    }
    for (const name of ['counter', 'limit', 'shared_state']) {
      const symbol = pieces.symbols.find((each) => each.name === name);
      if (typeof symbol?.place !== 'number') throw new Error(name);
      expect(result.bases.get(symbol.place), name).toBe(kernel.named(name)[0]?.address);
    }
    expect(result.values.get('printk')).toBe(addresses.printk);
  });

  it('an offset in the middle has a place of its own on either side', () => {
    const result = matched(kernelOf(plain));
    if (typeof result === 'string') throw new Error(result);
    const shifted = [...result.text].filter(([index, { layout }]) => {
      const size = pieces.sections[index]?.size ?? 0;
      return layout.toRun(size) !== size;
    });
    expect(shifted.length).toBeGreaterThan(0);
  });

  it.each([
    ['another constant', 'total > 3', 'total > 4'],
    ['another variable', 'counter += x', 'limit += x'],
    ['another string', '"none', '"gone'],
    ['another function', 'return last(x)', 'return sum(&x, 1)'],
    ['another order of cases', 'case 2: return last(counter)', 'case 5: return last(counter)'],
    ['another constant table', '{ 3, 1, 4, 1, 5 }', '{ 3, 1, 4, 1, 6 }'],
    ['a comparison the other way', 'count > 5', 'count < 5'],
    ['one more statement', 'turns++;', 'turns++; limit--;'],
    ['another branch', 'turns += 3', 'turns -= 3'],
  ])('a kernel made from another source: %s', (_, from, to) => {
    let changed = source.replace(from, to);
    if (to.startsWith('case 5')) changed = changed.replace('case 5: return limit', 'case 2: return limit');
    expect(changed).not.toBe(source);
    for (const extra of [[], sectioned]) {
      expect(typeof matched(kernelOf(compileUnit(changed, extra))), extra.join(' ')).toBe('string');
    }
  });

  it('any byte of the code, changed, is a mismatch, but in padding', () => {
    const kernel = kernelOf(plain);
    const section = plain.sections.find(({ name }) => name === '.text');
    const base = bases['.text'];
    let [tried, padding] = [0, 0];
    for (const symbol of plain.symbols.filter(
      (each) => each.type === STT_FUNC && each.place === section?.index,
    )) {
      const code = kernel.read(addressAt(toAddress(base), symbol.value), symbol.size);
      const nops = new Set(
        decoder
          .decodeAll(code, 0n)
          .filter(({ bytes }) =>
            decoder
              .textOf([{ offset: 0, address: 0n, length: bytes.length, bytes, flow: 'next' }])[0]
              ?.includes('nop'),
          )
          .flatMap(({ offset, length }) => Array.from({ length }, (_, i) => offset + i)),
      );
      for (let i = 0; i < symbol.size; i += 1) {
        const at = base + symbol.value + BigInt(i);
        const [before = 0] = kernel.read(toAddress(at), 1);
        kernel.write(at, [before ^ 0x10]);
        if (typeof matched(kernel) !== 'string') {
          expect(nops.has(i), `${symbol.name}+${i}`).toBe(true);
          padding += 1;
        }
        kernel.write(at, [before]);
        tried += 1;
      }
    }
    expect(typeof matched(kernel)).toBe('object');
    expect(tried).toBeGreaterThan(200);
    expect(padding).toBeLessThan(10);
  });
});
