import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeKallsyms, type TableForm, type TableSymbol } from '../../../test/fuzz/kallsyms-encoder.ts';
import { buildKernel, kernelSymbols, RODATA, TEXT } from '../../../test/fuzz/kernel-image.ts';
import { SHF_ALLOC, SHT_PROGBITS } from '../../elf/constants.ts';
import { toAddress } from '../address.ts';
import { readImageKallsyms } from './image-kallsyms.ts';
import { readVmlinux, type Vmlinux } from './vmlinux.ts';

/** A kernel that is nothing but tables in read-only data, behind some bytes that are no tables. */
function kernelWith(data: Uint8Array): Vmlinux {
  return {
    path: 'vmlinux',
    sections: [
      {
        name: '.rodata',
        type: SHT_PROGBITS,
        flags: SHF_ALLOC,
        address: toAddress(RODATA),
        size: data.length,
        data,
      },
    ],
    segments: [{ address: toAddress(TEXT), size: 0x300_0000, data: new Uint8Array(0) }],
  };
}

function read(data: Uint8Array): readonly TableSymbol[] {
  const { names, types, addresses } = readImageKallsyms(kernelWith(data));
  return names.map((name, i) => ({ name, type: types.charAt(i), address: addresses[i] ?? 0n }));
}

const forms: readonly TableForm[] = (['before', 'behind'] as const).flatMap((place) =>
  (['per-cpu', 'base', 'place', 'absolute'] as const)
    .filter((addressing) => addressing !== 'place' || place === 'behind')
    .flatMap((addressing) => [true, false].map((seqs) => ({ place, addressing, seqs }))),
);

/** Addresses that the form can hold: base-relative ones without per-CPU symbols have none at 0. */
function arbitrarySymbols(form: TableForm): fc.Arbitrary<readonly TableSymbol[]> {
  const canBeSmall = form.addressing === 'per-cpu' || form.addressing === 'absolute';
  const name = fc.string({
    unit: fc.constantFrom(...Array.from('abcdefghijklmnopqrstuvwxyz_.0123456789')),
    minLength: 1,
    maxLength: 500,
    size: 'small',
  });
  const symbol = fc.record({
    name,
    type: fc.constantFrom(...Array.from('tTdDbBrRwWvVAa?')),
    isSmall: fc.boolean(),
    offset: fc.integer({ min: 0, max: 0x2ff_ffff }),
  });
  return fc.array(symbol, { minLength: 1, maxLength: 600, size: 'medium' }).map((list) => {
    const symbols = list.map(({ name: each, type, isSmall, offset }) => ({
      name: each,
      type,
      address: canBeSmall && isSmall ? BigInt(offset) : TEXT + BigInt(offset),
    }));
    const ordered = symbols.sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
    // The lowest address outside the per-CPU area tells one form from another, so there is one.
    return [...ordered, { name: '_end', type: 'B', address: TEXT + 0x2ff_ffffn }];
  });
}

function whole(): { readonly bytes: Buffer; readonly at: ReturnType<typeof encodeKallsyms>['at'] } {
  const tables = encodeKallsyms(
    kernelSymbols(300),
    { place: 'before', addressing: 'per-cpu', seqs: true },
    RODATA,
  );
  return { bytes: Buffer.from(tables.bytes), at: tables.at };
}

describe('readImageKallsyms', () => {
  it.each(
    forms.map((form) => [`${form.place}, ${form.addressing}${form.seqs ? ', seqs' : ''}`, form] as const),
  )('gives back what was encoded: %s', (_, form) => {
    fc.assert(
      fc.property(arbitrarySymbols(form), fc.integer({ min: 0, max: 9 }), (symbols, words) => {
        const before = Buffer.alloc(8 * words, 'noise and other constants ');
        const tables = encodeKallsyms(symbols, form, RODATA + BigInt(before.length));
        expect(read(Buffer.concat([before, tables.bytes, Buffer.alloc(64, 'x')]))).toEqual(symbols);
      }),
      { numRuns: 15, seed: 7 },
    );
  });

  it('reads more than one marker, and names whose length takes two bytes', () => {
    const symbols = Array.from({ length: 1000 }, (_, i) => ({
      // A name that does not compress: each character another one.
      name:
        i === 700
          ? Array.from({ length: 510 }, (_, k) =>
              String.fromCharCode(0x21 + ((k * 37 + (k >> 5)) % 94)),
            ).join('')
          : `f${i}`,
      type: 't',
      address: TEXT + BigInt(i),
    }));
    const form = { place: 'before', addressing: 'per-cpu', seqs: true } as const;
    const { bytes, at } = encodeKallsyms(symbols, form, RODATA);
    expect(at.tokens - at.markers).toBeGreaterThan(16);
    expect(read(bytes)).toEqual(symbols);
  });

  it('is not led astray by digits that are in another table', () => {
    const wide = Buffer.from('0123456789', 'utf16le');
    const tables = encodeKallsyms(
      kernelSymbols(10),
      forms[0] ?? { place: 'before', addressing: 'per-cpu', seqs: true },
      RODATA + 24n,
    );
    expect(read(Buffer.concat([wide, Buffer.alloc(4), tables.bytes])).length).toBe(kernelSymbols(10).length);
  });

  it.each([
    ['a count that is too large', 'numSyms', 4, 'names'],
    ['a count that is too small', 'numSyms', 0, 'names'],
    ['a marker that is not where its name is', 'markers', 4, 'names'],
    ['a token table whose index disagrees', 'index', 80, 'token table'],
    ['a base outside of the kernel', 'numSyms', -8, 'addresses'],
    ['addresses out of order', 'addresses', 42, 'addresses'],
  ] as const)('%s: malformed_image', (_, table, offset, lacks) => {
    const { bytes, at } = whole();
    expect(read(bytes).length).toBe(kernelSymbols(300).length);
    const position = at[table] + offset;
    if (table === 'numSyms' && offset >= 0) bytes.writeUInt32LE(offset === 0 ? 100 : 5000, at.numSyms);
    else if (table === 'numSyms') bytes.writeBigUInt64LE(0xffffffff70000000n, position);
    else bytes[position] = (bytes[position] ?? 0) ^ 0x41;
    expect(() => read(bytes)).toThrow(new RegExp(`found no ${lacks} of kallsyms`));
  });

  it('a section that is cut off anywhere has no tables', () => {
    const { bytes, at } = whole();
    for (let size = 0; size < at.index + 512; size += 97) {
      expect(() => read(bytes.subarray(0, size)), String(size)).toThrow(/kallsyms/);
    }
  });

  it('data made to keep it busy are an error soon', () => {
    // The token for 0 can be in a name, so that a count of 0x5407 is also a name of seven tokens: every word of a
    // megabyte could be the count, and each has thousands of sound names behind it.
    const tokens = Array.from({ length: 256 }, (_, code) =>
      code > 0x20 && code !== 0x7f ? String.fromCharCode(code) : 'q',
    );
    const text = Buffer.from(`${tokens.join('\0')}\0`, 'latin1');
    const index = Buffer.alloc(512);
    tokens.forEach((_, code) => index.writeUInt16LE(2 * code, 2 * code));
    const slow = Buffer.concat([
      Buffer.alloc(1 << 20, Uint8Array.of(7, 0x54, 0, 0, 0, 0, 0, 0)),
      text,
      index,
    ]);
    const start = performance.now();
    expect(() => read(slow)).toThrow(/found no names of kallsyms/);
    expect(performance.now() - start).toBeLessThan(3000);
  });

  it('reads the tables in a kernel', () => {
    const found = readImageKallsyms(readVmlinux(buildKernel(), 'vmlinux'));
    expect(found.names.length).toBe(kernelSymbols(40).length);
    expect(found.addresses[found.names.indexOf('current_task')]).toBe(0x40n);
  });
});
