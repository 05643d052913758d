import { expect, it } from 'vitest';
import { STB_LOCAL, STT_NOTYPE, STV_DEFAULT } from '../../src/elf/constants.ts';
import { readObject } from '../../src/elf/read-object.ts';
import { writeObject } from '../../src/elf/write-object.ts';
import { cSample, flagSets } from '../support/c-sample.ts';
import { openWorkshop, type Workshop } from '../support/compile.ts';
import { imageOfObject } from '../support/image-of-object.ts';

it.each(flagSets)('a copy disassembles and links like the original: %s %s', (...flags) => {
  using workshop = openWorkshop();
  workshop.compile(
    'sample.c',
    cSample,
    flags.filter((flag) => typeof flag === 'string'),
  );
  const original = readObject(workshop.read('sample.o'), 'sample.o');
  workshop.write('copy.o', writeObject(imageOfObject(original)));

  expect(disassembly(workshop, 'copy.o')).toBe(disassembly(workshop, 'sample.o'));
  expect(workshop.run('readelf', '-SWsr', 'copy.o')).not.toContain('rror');
  workshop.run('ld', '-r', 'sample.o', '-o', 'linked.o');
  workshop.run('ld', '-r', 'copy.o', '-o', 'linked-copy.o');
  expect(disassembly(workshop, 'linked-copy.o')).toBe(disassembly(workshop, 'linked.o'));
  const copy = readObject(workshop.read('copy.o'), 'copy.o');
  expect(imageOfObject(copy)).toEqual(imageOfObject(original));
});

it('a copy runs: linked into a program it gives the same output', () => {
  using workshop = openWorkshop();
  workshop.compile('sample.c', cSample, ['-O2', '-fPIE', '-ffunction-sections']);
  workshop.write('copy.o', writeObject(imageOfObject(readObject(workshop.read('sample.o'), 'sample.o'))));
  const main = `
    #include <stdarg.h>
    #include <stdio.h>
    unsigned long jiffies = 42;
    void panic(const char *format, ...) { __builtin_trap(); }
    int printk(const char *format, ...) {
      va_list args; va_start(args, format); int n = vprintf(format, args); va_end(args); puts(""); return n;
    }
    int choose(int, int);
    int main(void) { for (int i = 0; i < 8; i++) printf("%d\\n", choose(i, 5)); return 0; }`;
  workshop.compile('main.c', main);
  workshop.run('gcc', 'main.o', 'sample.o', '-o', 'program');
  workshop.run('gcc', 'main.o', 'copy.o', '-o', 'program-copy');
  const output = workshop.run('./program');
  expect(workshop.run('./program-copy')).toBe(output);
  expect(output).toContain('record 1 0');
});

it('ld resolves a nameless absolute symbol to its 64-bit value', () => {
  using workshop = openWorkshop();
  const value = 0xffff_ffff_8123_4567n;
  const absolute = {
    name: '',
    value,
    size: 0,
    binding: STB_LOCAL,
    type: STT_NOTYPE,
    visibility: STV_DEFAULT,
    place: 'absolute',
  } as const;
  const data = {
    name: '.data',
    type: 1,
    flags: 3,
    alignment: 8,
    entrySize: 0,
    contents: new Uint8Array(8),
    relocations: [{ offset: 0, type: 1, symbol: 0, addend: 1 }],
  };
  workshop.write('absolute.o', writeObject({ sections: [data], symbols: [absolute] }));
  workshop.run('ld', '-e', '0', 'absolute.o', '-o', 'program');
  workshop.run('objcopy', '-O', 'binary', '-j', '.data', 'program', 'data');
  const bytes = workshop.read('data');
  expect(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true)).toBe(value + 1n);
});

/**
 * Code and data with relocations, without the line that names the file. The tables of relocations are
 * sorted, since the writer sorts: the compiler's own order is not by offset.
 */
function disassembly(workshop: Workshop, name: string): string {
  const listing = workshop.run('objdump', '-dr', '-j', '.text', name) + workshop.run('objdump', '-sr', name);
  const lines = listing.split('\n').filter((line) => !line.startsWith(name));
  const sorted: string[] = [];
  let table: string[] = [];
  for (const line of lines) {
    if (/^[0-9a-f]{16} R_X86_64_/.test(line)) {
      table.push(line);
      continue;
    }
    sorted.push(...table.sort((x, y) => offsetOf(x) - offsetOf(y)), line);
    table = [];
  }
  return sorted.join('\n');
}

function offsetOf(record: string): number {
  return Number.parseInt(record.slice(0, 16), 16);
}
