/**
 * The tables that the linker writes, read back through the core's own header: the compiler lays out
 * `struct ksplice_function` and `struct ksplice_range`, and a C program prints what it finds in our bytes.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { toAddress } from '../../src/kernel/address.ts';
import { type LinkObject, linkModule } from '../../src/link/link-module.ts';
import { updateTables } from '../../src/link/update-tables.ts';
import { openWorkshop } from '../support/compile.ts';

const HEADER = readFileSync(join(import.meta.dirname, '../../core/ksplice.h'), 'utf8');
const TYPES = `
  typedef unsigned char u8; typedef unsigned int u32;
  #define BIT(n) (1U << (n))
`;
const READER = `
  #include <stdio.h>
  #include "ksplice.h"
  void replacement(void) {}
  int main(void) {
    printf("%s %u %u\\n", ksplice_update_id, ksplice_update_nr_functions, ksplice_update_flags);
    for (u32 i = 0; i < ksplice_update_nr_functions; i++) {
      const struct ksplice_function *f = &ksplice_update_functions[i];
      printf("%s %d %u %u %u\\n", f->name, f->new_addr == (unsigned long)replacement, f->nr_ranges,
             f->site_offset, f->site_size);
      for (u32 j = 0; j < f->nr_ranges; j++) {
        const struct ksplice_range *r = &f->ranges[j];
        printf("%lx %u %u", r->start, r->size, r->flags);
        for (u32 k = 0; k < r->size; k++) printf(" %02x/%02x", r->body[k], r->mask[k]);
        puts("");
      }
    }
    return 0;
  }
`;

describe('update tables', () => {
  it('are what the core reads', async () => {
    using workshop = openWorkshop();
    const tables = updateTables(
      'cve_1',
      [
        {
          name: 'first',
          replacement: 'replacement',
          siteOffset: 5,
          siteSize: 6,
          ranges: [
            {
              start: toAddress(0xffffffff81234560n),
              hasEntry: true,
              body: Uint8Array.of(0x0f, 0x1f, 0x44),
              mask: Uint8Array.of(0, 0, 0xff),
            },
            {
              start: toAddress(0xffffffff81999990n),
              hasEntry: false,
              body: Uint8Array.of(0xcc),
              mask: Uint8Array.of(0xff),
            },
          ],
        },
        {
          name: 'second',
          replacement: 'replacement',
          siteOffset: 0,
          siteSize: 5,
          ranges: [
            {
              start: toAddress(0xffffffffc0001000n),
              hasEntry: true,
              body: Uint8Array.of(0x55),
              mask: Uint8Array.of(0xff),
            },
          ],
        },
      ],
      true,
    );
    const { writeObject } = await import('../../src/elf/write-object.ts');
    const { imageOfObject } = await import('../support/image-of-object.ts');
    workshop.write('tables.o', writeObject(imageOfObject(tables)));
    const header = HEADER.replace('#include <linux/types.h>', TYPES);
    workshop.write('ksplice.h', header);
    workshop.write('reader.c', READER);
    workshop.run('gcc', '-no-pie', 'reader.c', 'tables.o', '-o', 'reader');
    expect(workshop.run(join(workshop.directory, 'reader')).trimEnd().split('\n')).toEqual([
      'cve_1 2 1',
      'first 1 2 5 6',
      'ffffffff81234560 3 1 0f/00 1f/00 44/ff',
      'ffffffff81999990 1 0 cc/ff',
      'second 1 1 0 5',
      'ffffffffc0001000 1 1 55/ff',
    ]);
  });
});

describe('linkModule', () => {
  it('leaves nothing undefined, names no address, and suffixes functions', async () => {
    using workshop = openWorkshop();
    const { readObject } = await import('../../src/elf/read-object.ts');
    const source = `
      extern int printk_like(const char *, ...); extern int counter;
      static int helper(int x) { return printk_like("hello %d", x) + counter; }
      __attribute__((noinline)) int entry(int x) { return helper(x) + helper(x + 1); }
      int initialised = 7; int zero[4];
    `;
    const flags = [
      '-O1',
      '-mcmodel=kernel',
      '-fno-pic',
      '-fno-pie',
      '-fcf-protection=none',
      '-ffunction-sections',
    ];
    workshop.compile('unit.c', source, flags);
    const object = readObject(workshop.read('unit.o'), 'unit.o');
    const addresses = new Map([
      ['printk_like', toAddress(0xffffffff81111110n)],
      ['counter', toAddress(0xffffffff82222220n)],
    ]);
    const only: LinkObject = {
      object,
      isModuleObject: false,
      resolve: (name) => addresses.get(name) ?? toAddress(0n),
    };
    workshop.write('out.ko', linkModule({ objects: [only], functionSuffix: '.ksplice_x' }).bytes);
    const symbols = workshop.run('readelf', '-sW', 'out.ko');
    expect(symbols).toMatch(/ffffffff81111110 .* ABS *$/m);
    expect(symbols).toMatch(/ffffffff82222220 .* ABS *$/m);
    expect(symbols).not.toMatch(/UND +\S/);
    expect(symbols).toMatch(/FUNC +LOCAL .* entry\.ksplice_x$/m);
    const sections = workshop.run('readelf', '-SW', 'out.ko');
    expect(sections.match(/ \.text /g)).toHaveLength(1);
    expect(sections).not.toMatch(/\.text\.entry|\.note|\.comment/);
    // What ld makes of the same object, with the same addresses, has the same code.
    const defsym = [...addresses].map(([name, address]) => `--defsym=${name}=0x${address.toString(16)}`);
    const base = '-Ttext=0xffffffffc0000000';
    workshop.run('ld', base, '-e', '0', ...defsym, 'unit.o', '-o', 'theirs');
    workshop.run('ld', base, '-e', '0', 'out.ko', '-o', 'ours');
    const calls = (file: string): readonly string[] =>
      [...workshop.run('objdump', '-d', '--no-show-raw-insn', file).matchAll(/call +([0-9a-f]+)/g)].map(
        ([, target = '']) => target,
      );
    expect(calls('ours').length).toBeGreaterThan(0);
    expect(calls('ours')).toEqual(calls('theirs'));
  });
});
