/**
 * Source lines of compiled code, compared with addr2line's for every instruction.
 */
import { describe, expect, it } from 'vitest';
import { SHF_EXECINSTR } from '../../src/elf/constants.ts';
import { sourceLineAt } from '../../src/elf/line-table.ts';
import type { ObjectFile } from '../../src/elf/model.ts';
import { readObject } from '../../src/elf/read-object.ts';
import { loadDecoder } from '../../src/x86/decoder.ts';
import { openWorkshop, type Workshop } from '../support/compile.ts';

const header = `
static inline int clamp(int x)
{
  if (x > 100)
    return 100;
  return x;
}
`;

const source = `#include "sub/clamp.h"
int printk(const char *format, ...);
__attribute__((cold, noreturn)) void panic(const char *format, ...);
int counter;

int first(int x)
{
  counter += clamp(x);
  if (x < 0)
    panic("negative");
  return counter;
}

__attribute__((section(".init.text"))) int setup(void)
{
  return printk("setup\\n") + first(3);
}
${'\n'.repeat(300)}
int last(int x)
{
  for (int i = 0; i < x; i++)
    counter += first(i);
  return counter;
}
`;

function compile(workshop: Workshop, flags: readonly string[]): ObjectFile {
  workshop.run('mkdir', '-p', 'sub');
  workshop.write('sub/clamp.h', header);
  workshop.compile('unit.c', source, ['-O2', '-fno-asynchronous-unwind-tables', ...flags]);
  return readObject(workshop.read('unit.o'), 'unit.o');
}

describe('sourceLineAt', () => {
  it.each([
    ['lines only', ['-g1']],
    ['all debug information', ['-g']],
    ['sections for all functions', ['-g1', '-ffunction-sections']],
  ])('is what addr2line says, with %s', async (_, flags) => {
    using workshop = openWorkshop();
    const prefix = `-fdebug-prefix-map=${workshop.directory}=.`;
    const object = compile(workshop, [...flags, prefix]);
    const decoder = await loadDecoder();
    let compared = 0;
    for (const section of object.sections) {
      if ((section.flags & SHF_EXECINSTR) === 0 || section.size === 0) continue;
      const offsets = decoder.decodeAll(section.data, 0n).map(({ offset }) => offset);
      const addresses = offsets.map((offset) => `0x${offset.toString(16)}`);
      const said = workshop
        .run('addr2line', '-j', section.name, '-e', 'unit.o', ...addresses)
        .trim()
        .split('\n');
      const mine = offsets.map((offset) => {
        const found = sourceLineAt(object, section.index, offset);
        return found === undefined ? '??' : `${found.file}:${found.line}`;
      });
      // addr2line puts the compilation's directory before a path, and may add which of several branches it is.
      expect(mine).toEqual(
        said.map((each) => each.replace(/^(?:\.\/)+/, '').replace(/ \(discriminator.*/, '')),
      );
      compared += offsets.length;
    }
    expect(compared).toBeGreaterThan(20);
  });

  it('is of no file where nothing was compiled to, and without a table', () => {
    using workshop = openWorkshop();
    const object = compile(workshop, ['-g1']);
    const section = object.sections.find(({ name }) => name === '.text');
    if (section === undefined) throw new Error('no .text');
    expect(sourceLineAt(object, section.index, section.size)).toBeUndefined();
    const plain = compile(workshop, ['-g0']);
    expect(sourceLineAt(plain, section.index, 0)).toBeUndefined();
  });

  it('an older format is not read wrong, but not at all', () => {
    using workshop = openWorkshop();
    const object = compile(workshop, ['-gdwarf-4', '-g1']);
    const section = object.sections.find(({ name }) => name === '.text');
    if (section === undefined) throw new Error('no .text');
    expect(sourceLineAt(object, section.index, 0)).toBeUndefined();
  });

  it('a table that ends early is a format error, wherever it ends', () => {
    using workshop = openWorkshop();
    const object = compile(workshop, ['-g1']);
    const text = object.sections.find(({ name }) => name === '.text');
    const lines = object.sections.find(({ name }) => name === '.debug_line');
    if (text === undefined || lines === undefined) throw new Error('no .debug_line');
    for (let size = 1; size < lines.size; size += 1) {
      const cut = { ...lines, size, data: lines.data.subarray(0, size) };
      const sections = object.sections.map((each) => (each === lines ? cut : each));
      const read = (): unknown => sourceLineAt({ ...object, sections }, text.index, text.size - 1);
      expect(read, `${size} bytes`).toThrow(/unit.o: .debug_line: at 0x/);
    }
  });
});
