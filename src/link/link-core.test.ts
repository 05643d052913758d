import { describe, expect, it } from 'vitest';
import { buildObject, type ObjectRecord } from '../../test/support/elf-builder.ts';
import { FakeKernel } from '../../test/support/fake-kernel.ts';
import { InternalError, MatchError } from '../diagnostics/error.ts';
import type { ObjectFile } from '../elf/model.ts';
import { readObject } from '../elf/read-object.ts';
import { bindCore, linkCore } from './link-core.ts';

const NAME = 'compiled_name';

function core(text: ObjectRecord['sections'][string], more: ObjectRecord['sections'] = {}): ObjectFile {
  return buildObject(
    {
      sections: {
        '.modinfo': { bytes: [...Buffer.from(`name=${NAME}\0`)], flags: 2 },
        '.gnu.linkonce.this_module': {
          bytes: [...Buffer.alloc(24), ...Buffer.from(NAME), ...Buffer.alloc(64)],
          flags: 3,
        },
        '.text': text,
        ...more,
      },
      symbols: { entry: { section: '.text', type: 'func', size: 5, binding: 'global' } },
    },
    'core.o',
  );
}

const calling: ObjectRecord['sections'][string] = {
  bytes: [0xe8, 0, 0, 0, 0],
  relocations: [[1, 'PLT32', 'printk', -4]],
};

function kernelWith(...addresses: readonly bigint[]): FakeKernel {
  const kernel = new FakeKernel();
  for (const address of addresses) kernel.define('printk', address, 't');
  return kernel;
}

describe('linkCore and bindCore', () => {
  it('make a module whose only reference to the kernel is an address', () => {
    const linked = linkCore(core(calling), undefined);
    const bound = bindCore(linked, kernelWith(0xffffffff81e00000n));
    const module = readObject(bound.bytes, 'ksplice.ko');
    expect(module.symbols.filter(({ place, index }) => place === 'undefined' && index !== 0)).toEqual([]);
    expect(module.symbols.filter(({ place }) => place === 'absolute')).toMatchObject([
      { name: '', value: 0xffffffff81e00000n },
    ]);
    expect(bound.placeOf('entry')).toEqual({ section: '.text', offset: 0n });
  });

  it.each([
    ['a name that the kernel does not have', []],
    ['a name that it has twice', [0xffffffff81e00000n, 0xffffffff81f00000n]],
    ['an address outside the kernel', [0xffff888000000000n]],
  ])('refuse %s', (_, addresses) => {
    const linked = linkCore(core(calling), undefined);
    expect(() => bindCore(linked, kernelWith(...addresses))).toThrow(MatchError);
  });

  it('refuse a reference that does not reach all of the kernel', () => {
    const near = { bytes: [0xbf, 0, 0, 0, 0], relocations: [[1, '32', 'printk', 0] as const] };
    expect(() => linkCore(core(near), undefined)).toThrow(InternalError);
  });

  it("refuse a branch by the kernel's own key, which would have to be frozen", () => {
    const branch = { bytes: [0x0f, 0x1f, 0x44, 0, 0, 0xc3] };
    const table = {
      bytes: [...Buffer.alloc(16)],
      flags: 3,
      relocations: [
        [0, 'PC32', '.text', 0],
        [4, 'PC32', '.text', 5],
        [8, 'PC64', 'kernel_key', 0],
      ] as const,
    };
    expect(() => linkCore(core(branch, { __jump_table: table }), undefined)).toThrow(/kernel_key/);
  });
});
