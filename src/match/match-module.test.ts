/**
 * Units that are part of a module: their own symbols are the module's, and what they refer to is the kernel's, their
 * own, or another module's.
 */
import { describe, expect, it } from 'vitest';
import { buildObject, type ObjectRecord } from '../../test/support/elf-builder.ts';
import type { FakeKernel } from '../../test/support/fake-kernel.ts';
import { addresses, smallKernel } from '../../test/support/small-kernel.ts';
import { matchUnit } from './match-unit.ts';

const MODULE_TEXT = 0xffffffffc0a1b000n;
const EXIT_TEXT = 0xffffffffc0a1c000n;
const OTHER = 0xffffffffc0b00010n;
const OTHER_ENTRY = 0xffffffffc0b02000n;

const record: ObjectRecord = {
  sections: {
    '.text': {
      bytes: [0xe8, 0, 0, 0, 0, 0xe8, 0, 0, 0, 0, 0xc3],
      relocations: [
        [1, 'PLT32', 'printk', -4],
        [6, 'PLT32', 'other_register', -4],
      ],
    },
    '.init.text': { bytes: [0x31, 0xc0, 0xc3], flags: 6 },
    '.exit.text': { bytes: [0x31, 0xdb, 0xc3], flags: 6 },
  },
  symbols: {
    show: { section: '.text', type: 'func', size: 11 },
    start: { section: '.init.text', type: 'func', size: 3 },
    stop: { section: '.exit.text', type: 'func', size: 3 },
  },
};

function loaded(): FakeKernel {
  const kernel = smallKernel();
  kernel.exported('other_register', OTHER, OTHER_ENTRY, 'other');
  kernel.load(buildObject(record), { '.text': MODULE_TEXT, '.exit.text': EXIT_TEXT }, { module: 'veth' });
  return kernel;
}

const matchIn = (kernel: FakeKernel, target: string): ReturnType<typeof matchUnit> =>
  matchUnit(buildObject(record, 'drivers/net/veth.o'), kernel, { target });

describe('a unit of a module', () => {
  it('is matched in the module, with what it refers to elsewhere', () => {
    const result = matchIn(loaded(), 'veth');
    if (result.kind !== 'match') throw new Error(JSON.stringify(result.mismatch));
    expect(result.target).toBe('veth');
    expect([...result.text.values()].map(({ base }) => base)).toEqual([MODULE_TEXT, EXIT_TEXT]);
    expect(result.values.get('printk')).toBe(addresses.printk);
    expect(result.values.get('other_register')).toBe(OTHER);
  });

  it('is not taken for a function of the kernel, or of another module, that has its name', () => {
    const kernel = loaded();
    kernel.define('show', addresses.memcpy_fast, 'T');
    kernel.define('show', OTHER, 't', 'other');
    expect(matchIn(kernel, 'veth').kind).toBe('match');
    expect(matchIn(kernel, 'vmlinux').kind).toBe('mismatch');
    expect(matchIn(kernel, 'other').kind).toBe('mismatch');
  });

  it('is compared with its exit code, too, and not with its initial code, which is gone', () => {
    const kernel = loaded();
    kernel.write(EXIT_TEXT, [0x33]);
    expect(matchIn(kernel, 'veth')).toMatchObject({
      kind: 'mismatch',
      mismatch: { name: 'stop', offset: 0 },
    });
  });

  it('does not match a module of the same name that was built from something else', () => {
    const kernel = loaded();
    kernel.write(MODULE_TEXT + 10n, [0x90]);
    expect(matchIn(kernel, 'veth')).toMatchObject({
      kind: 'mismatch',
      mismatch: { name: 'show', offset: 10 },
    });
  });

  it('does not match where it calls what no module has', () => {
    const kernel = loaded();
    kernel.forget('other_register');
    expect(matchIn(kernel, 'veth')).toMatchObject({
      kind: 'mismatch',
      mismatch: { name: 'other_register', reason: 'failed_to_find' },
    });
  });

  it('does not match where it calls what another module has, and does not export', () => {
    const kernel = loaded();
    kernel.forget('__ksymtab_other_register');
    expect(matchIn(kernel, 'veth')).toMatchObject({
      kind: 'mismatch',
      mismatch: { name: 'other_register', reason: 'failed_to_find' },
    });
  });

  it('asks for the entries of what other modules may export, with all other names', () => {
    const kernel = loaded();
    matchIn(kernel, 'veth');
    expect(kernel.prefetched).toContain('__ksymtab_other_register');
    const built = loaded();
    matchIn(built, 'vmlinux');
    expect(built.prefetched).not.toContain('__ksymtab_other_register');
  });

  it('is not there if the module is not', () => {
    expect(matchIn(smallKernel(), 'veth')).toMatchObject({ kind: 'mismatch', mismatch: { name: 'show' } });
  });
});
