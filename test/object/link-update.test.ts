/**
 * An update module from compiled parts, as readelf and objdump see it: what the kernel's module loader needs,
 * and what it must not find.
 */
import { describe, expect, it } from 'vitest';
import { SHT_NOBITS } from '../../src/elf/constants.ts';
import type { ElfSymbol, ObjectFile } from '../../src/elf/model.ts';
import { openWorkshop } from '../support/compile.ts';
import { link, named, REGISTER, stubObject } from '../support/linked-update.ts';
import { addresses } from '../support/small-kernel.ts';

const linked = link();

function tool(bytes: Uint8Array, name: string, ...args: readonly string[]): string {
  using workshop = openWorkshop();
  workshop.write('module.ko', bytes);
  return workshop.run(name, ...args, 'module.ko');
}

/** Symbols, as relocations of a section see them. */
function targets(object: ObjectFile, section: string): readonly (ElfSymbol & { readonly addend: number })[] {
  return named(object, section).relocations.flatMap((each) => {
    const symbol = object.symbols[each.symbol];
    return symbol === undefined ? [] : [{ ...symbol, addend: each.addend }];
  });
}

describe('an update module', () => {
  it('is a relocatable file that binutils read without complaint', () => {
    expect(linked.module.name).toBe('ksplice_fix_1');
    const text = tool(linked.module.bytes, 'readelf', '-aW');
    expect(text).not.toMatch(/warning|error/i);
    expect(text).toMatch(/Type:\s+REL/);
  });

  it('has no undefined symbol, and no absolute one with a name', () => {
    const lines = tool(linked.module.bytes, 'readelf', '-sW').split('\n');
    expect(lines.filter((line) => / UND /.test(line)).map((line) => line.trim().split(/\s+/)[0])).toEqual([
      '0:',
    ]);
    const absolute = lines.filter((line) => / ABS /.test(line)).map((line) => line.trim().split(/\s+/));
    expect(absolute.every((fields) => fields.length === 7)).toBe(true);
    const values = new Set(absolute.map(([, value]) => value));
    const expected = [
      addresses.printk,
      addresses.key,
      addresses.__fentry__,
      REGISTER,
      ...['counter', 'helper', 'state'].map((name) => linked.old(name)),
    ];
    expect(values.size).toBe(absolute.length);
    expect(values).toEqual(new Set(expected.map((value) => value.toString(16).padStart(16, '0'))));
  });

  it('says which addresses it was bound to', () => {
    for (const name of ['counter', 'helper', 'state'])
      expect(linked.module.bound).toContain(linked.old(name));
    expect(linked.module.bound).toContain(addresses.printk);
  });

  it('has zeroes in every field that the loader will relocate', () => {
    let fields = 0;
    for (const { data, relocations, type } of linked.object.sections) {
      if (type === SHT_NOBITS) expect(relocations).toEqual([]);
      for (const { offset, type: kind } of relocations) {
        const size = kind === 1 || kind === 24 ? 8 : 4;
        expect([...data.subarray(offset, offset + size)]).toEqual(Array.from({ length: size }, () => 0));
        fields += 1;
      }
    }
    expect(fields).toBeGreaterThan(20);
  });

  it('has its code in one .text and its per-CPU data in .data..percpu, aligned', () => {
    const names = linked.object.sections.map(({ name }) => name);
    expect(names.filter((name) => name.startsWith('.text'))).toEqual(['.text']);
    expect(names.filter((name) => name.includes('percpu'))).toEqual(['.data..percpu']);
    const percpu = named(linked.object, '.data..percpu');
    expect(percpu.alignment).toBe(64);
    const values = ['new_percpu', 'other_percpu'].map((name) => {
      const at = Number(linked.object.symbols.find((each) => each.name === name)?.value);
      return [at % (name === 'new_percpu' ? 64 : 4), percpu.data[at]];
    });
    expect(values).toEqual([
      [0, 3],
      [0, 4],
    ]);
    const writable = linked.object.sections.filter(({ flags: bits }) => (bits & 5) === 5);
    expect(writable).toEqual([]);
  });

  it('has no table of things that exist already', () => {
    const names = linked.object.sections.map(({ name }) => name);
    expect(names.filter((name) => /discard|ksymtab|note|comment|eh_frame/.test(name))).toEqual([]);
    expect(Buffer.from(linked.module.bytes).includes('author=nobody')).toBe(false);
  });

  it('has functions with a suffix, so that no probe by name becomes ambiguous', () => {
    const functions = linked.object.symbols.filter(({ type, name }) => type === 2 && name !== '');
    expect(functions.map(({ name }) => name).sort()).toEqual([
      'added.ksplice_fix_1',
      'cleanup_module',
      'handle.ksplice_fix_1',
      'init_module',
    ]);
    const text = tool(linked.module.bytes, 'objdump', '-dr', '--no-show-raw-insn');
    expect(text).toMatch(/<handle\.ksplice_fix_1>:\n[^\n]*call/);
    expect(text).not.toMatch(/\(bad\)/);
  });

  it('is named in struct module, in place, and in .modinfo', () => {
    const before = named(stubObject, '.gnu.linkonce.this_module');
    const after = named(linked.object, '.gnu.linkonce.this_module');
    expect(after.size).toBe(before.size);
    expect(Buffer.from(after.data.subarray(24, 80)).toString('latin1')).toBe(
      'ksplice_fix_1'.padEnd(56, '\0'),
    );
    const strings = tool(linked.module.bytes, 'readelf', '-p', '.modinfo');
    expect(strings).toMatch(/license=GPL[^]*name=ksplice_fix_1[^]*retpoline=Y/);
    expect(targets(linked.object, '.gnu.linkonce.this_module').map(({ name }) => name)).toEqual([
      'init_module',
      'cleanup_module',
    ]);
  });

  it('has a version of module_layout, and needs none else', () => {
    const versions = Buffer.from(named(linked.object, '__versions').data);
    expect(versions.length).toBe(64);
    expect(versions.readBigUInt64LE(0)).toBe(0x12345678n);
    expect(versions.toString('latin1', 8).replace(/\0+$/, '')).toBe('module_layout');
    const none = link({ changes: { moduleLayoutCrc: undefined } });
    expect(none.object.sections.some(({ name }) => name === '__versions')).toBe(false);
  });

  it.each([
    [0, '0f 1f 44 00 00'],
    [1, 'e9'],
  ])('has branches of keys that are read-only as they are: %i', (enabled, expected) => {
    const { object } = link({ locked: enabled });
    const table = named(object, '__jump_table');
    expect(table.size).toBe(16);
    expect(targets(object, '__jump_table').map(({ place, value }) => [place, value])[2]).toEqual([
      'absolute',
      addresses.key,
    ]);
    const handle = object.symbols.find(({ name }) => name === 'handle.ksplice_fix_1');
    const code = named(object, '.text').data.subarray(Number(handle?.value));
    // The call of __fentry__, then at most a few instructions, then the branch.
    const bytes = Buffer.from(code.subarray(0, 24)).toString('hex').replaceAll(/(..)/g, '$1 ');
    expect(bytes).toContain(expected);
    expect(bytes.includes('0f 1f 44 00 00') && bytes.includes('e9 ')).toBe(enabled === 1);
  });
});
