/**
 * Compiled code as people read it: names in place of what relocations fill in, source lines, and what a running kernel has made of
 * it.
 */
import { describe, expect, it } from 'vitest';
import { readUnit } from '../../src/diff/read-unit.ts';
import type { Unit, UnitItem } from '../../src/diff/unit.ts';
import { readObject } from '../../src/elf/read-object.ts';
import { toAddress } from '../../src/kernel/address.ts';
import { sameLayout } from '../../src/match/code-layout.ts';
import type { CodeLine } from '../../src/report/inspect/code-line.ts';
import { compareCode } from '../../src/report/inspect/compare-code.ts';
import { disassemble } from '../../src/report/inspect/disassemble.ts';
import { readRunCode } from '../../src/report/inspect/run-code.ts';
import { linesOfObject } from '../../src/report/inspect/source-lines.ts';
import { loadDecoder } from '../../src/x86/decoder.ts';
import { openWorkshop } from '../support/compile.ts';

const FLAGS = '-O2 -g1 -mcmodel=kernel -fno-PIE -fcf-protection=none -mno-red-zone'.split(' ');
const SECTIONED = ['-ffunction-sections', '-fdata-sections'];
const decoder = await loadDecoder();

const source = (more = ''): string => `int printk(const char *format, ...);
extern int limits[8];
static int counter;
static __attribute__((noinline)) int helper(int x)
{
  counter += x;
  return printk("helper <%d>\\n", counter);
}
int work(int x)
{
  if (x > 3)
    return helper(x);
  ${more}
  return limits[x] + 5;
}
`;

function compile(text: string, flags: readonly string[]): Unit {
  using workshop = openWorkshop();
  workshop.compile('unit.c', text, [...FLAGS, ...flags, `-fdebug-prefix-map=${workshop.directory}=.`]);
  return readUnit(readObject(workshop.read('unit.o'), 'unit.o'));
}

function functionOf(unit: Unit, name: string): UnitItem {
  const found = unit.items.find((item) => item.name === name);
  if (found === undefined) throw new Error(`no ${name}`);
  return found;
}

function linesOf(unit: Unit, name: string): readonly CodeLine[] {
  return disassemble(unit, functionOf(unit, name), decoder, linesOfObject(unit.object));
}

const texts = (lines: readonly CodeLine[]): string => lines.map(({ text }) => text).join('\n');

describe('disassemble', () => {
  it('has names for functions, variables and strings, whatever the assembler made of the references', () => {
    for (const flags of [[], SECTIONED]) {
      const unit = compile(source(), flags);
      expect(texts(linesOf(unit, 'work'))).toMatch(/^j\w+ helper$|^call helper$/m);
      expect(texts(linesOf(unit, 'work'))).toMatch(/^mov limits\(,%r\w+,4\),%eax$/m);
      expect(texts(linesOf(unit, 'helper'))).toMatch(/counter(?:\(%rip\))?,?/);
      expect(texts(linesOf(unit, 'helper'))).toContain('mov $"helper <%d>\\n",%rdi');
    }
  });

  it('tells the source line of each instruction', () => {
    const add = linesOf(compile(source(), []), 'work').find(({ text }) => text.startsWith('mov limits'));
    expect(add?.source).toMatchObject({ file: 'unit.c', line: 14 });
  });

  it('of two builds of the same source is the same, with each function in a section of its own or not', () => {
    const [plain, sectioned] = [compile(source(), []), compile(source(), SECTIONED)];
    for (const name of ['work', 'helper']) {
      const rows = compareCode(linesOf(plain, name), linesOf(sectioned, name));
      expect(rows.filter(({ mark }) => mark !== 'same')).toEqual([]);
      expect(rows.length).toBeGreaterThan(3);
    }
  });

  it('shows what another source makes, and nothing else', () => {
    const before = linesOf(compile(source(), []), 'work');
    const after = linesOf(compile(source('printk("new");'), SECTIONED), 'work');
    const changed = compareCode(before, after).filter(({ mark }) => mark !== 'same');
    expect(changed.some(({ post }) => post?.text === 'mov $"new",%rdi')).toBe(true);
    expect(changed.some(({ pre, post }) => `${pre?.text} ${post?.text}`.includes('helper'))).toBe(false);
  });
});

describe('readRunCode', () => {
  it('has the address, the bytes where the jump goes, and what the kernel has written itself', () => {
    const unit = compile(source(), ['-pg', '-mfentry', '-mrecord-mcount']);
    const item = functionOf(unit, 'work');
    const run = Uint8Array.from(item.section.data);
    // ftrace has put a nop in the place of the call.
    run.set([0x0f, 0x1f, 0x44, 0x00, 0x00], item.entry);
    const text = new Map([
      [
        item.section.index,
        { base: toAddress(0xffffffff81000000n), run, mask: new Uint8Array(run.length), layout: sameLayout },
      ],
    ]);
    const match = { object: unit.object, text };
    const site = { offset: 5, size: 5 };
    const found = readRunCode(match, item, site, true, decoder);
    expect(found?.address).toBe(0xffffffff81000000n + BigInt(item.entry));
    expect(found?.instructions.map(({ offset, kind }) => [offset, kind])).toEqual([
      [5, 'site'],
      [0, 'fentry'],
    ]);
    expect(found?.instructions[1]?.text).toBe('nopl 0x0(%rax,%rax)');
    expect(
      Buffer.from(found?.instructions[0]?.bytes ?? []).equals(run.subarray(item.entry + 5, item.entry + 10)),
    ).toBe(true);
    // One at rest has written nothing.
    expect(readRunCode(match, item, site, false, decoder)?.instructions).toHaveLength(1);
    expect(readRunCode({ ...match, text: new Map() }, item, site, true, decoder)).toBeUndefined();
  });
});
