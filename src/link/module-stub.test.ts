import { describe, expect, it } from 'vitest';
import { buildObject } from '../../test/support/elf-builder.ts';
import type { ObjectFile, Section } from '../elf/model.ts';
import { nameModule } from './module-stub.ts';

const SIZE = 0x380;

/** struct module as the compiler leaves it: state, list, then the name. */
function stub(
  modinfo = 'license=GPL\0name=ksplice_stub\0vermagic=6.1.0 SMP \0',
  name = 'ksplice_stub',
): ObjectFile {
  const module = Buffer.alloc(SIZE);
  module.write(name, 24, 'latin1');
  module.fill(0xee, 24 + 56);
  return buildObject({
    sections: {
      '.gnu.linkonce.this_module': {
        bytes: module,
        relocations: [[0x138, '64', 'init_module', 0]],
        alignment: 64,
      },
      '.modinfo': { bytes: Buffer.from(modinfo, 'latin1') },
    },
    symbols: { init_module: { binding: 'global' } },
  });
}

function named(object: ObjectFile, name: string): Section {
  const section = object.sections.find((each) => each.name === name);
  if (section === undefined) throw new Error(name);
  return section;
}

const text = (section: Section): string => Buffer.from(section.data).toString('latin1');

describe('nameModule', () => {
  it.each(['ksplice_x', `ksplice_${'x'.repeat(32)}`, 'x'.repeat(55)])(
    'writes %s into struct module, in place',
    (name) => {
      const before = named(stub(), '.gnu.linkonce.this_module');
      const after = named(nameModule(stub(), name, 1), '.gnu.linkonce.this_module');
      expect(after.size).toBe(SIZE);
      expect(after.data.length).toBe(SIZE);
      expect(text(after).slice(24, 24 + 56)).toBe(name.padEnd(56, '\0'));
      // Nothing else changes: neither before the name nor behind its 56 bytes.
      expect(Buffer.compare(after.data.subarray(0, 24), before.data.subarray(0, 24))).toBe(0);
      expect(Buffer.compare(after.data.subarray(80), before.data.subarray(80))).toBe(0);
      expect(after.relocations).toEqual(before.relocations);
    },
  );

  it('writes the name into .modinfo and keeps the other lines', () => {
    const { data, size } = named(nameModule(stub(), 'ksplice_x', 1), '.modinfo');
    expect(Buffer.from(data).toString('latin1')).toBe('license=GPL\0name=ksplice_x\0vermagic=6.1.0 SMP \0');
    expect(size).toBe(data.length);
  });

  it('adds __versions with module_layout', () => {
    const versions = named(nameModule(stub(), 'ksplice_x', 0x9bbd4a3c), '__versions');
    expect(versions.data.length).toBe(64);
    expect(Buffer.from(versions.data).readBigUInt64LE(0)).toBe(0x9bbd4a3cn);
    expect(text(versions).slice(8)).toBe('module_layout'.padEnd(56, '\0'));
    expect(versions.flags).toBe(2);
  });

  it('adds none for a kernel without symbol versions', () => {
    const object = nameModule(stub(), 'ksplice_x', undefined);
    expect(object.sections.some(({ name }) => name === '__versions')).toBe(false);
  });

  it('refuses a name that does not fit, and stubs that are none', () => {
    expect(() => nameModule(stub(), 'x'.repeat(56), 1)).toThrow(/module name 'x{56}' is too long/);
    expect(() => nameModule(stub('license=GPL\0'), 'a', 1)).toThrow(
      /\.modinfo has no name, expected a module's/,
    );
    expect(() => nameModule(stub(undefined, 'other'), 'a', 1)).toThrow(
      /struct module does not hold 'ksplice_stub'/,
    );
    const empty = buildObject({ sections: { '.text': { bytes: [0xc3] } } }, 'stub.o');
    expect(() => nameModule(empty, 'a', 1)).toThrow(/^stub\.o: \.modinfo has no name/);
  });
});
