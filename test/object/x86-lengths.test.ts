import { expect, it } from 'vitest';
import { hexBytes } from '../../src/diagnostics/hex.ts';
import { STT_FUNC } from '../../src/elf/constants.ts';
import { readObject } from '../../src/elf/read-object.ts';
import { loadDecoder } from '../../src/x86/decoder.ts';
import { nopLength } from '../../src/x86/nops.ts';
import { cSample, flagSets } from '../support/c-sample.ts';
import { openWorkshop } from '../support/compile.ts';

it.each(flagSets)('instructions begin where objdump says: %s %s', async (...flags) => {
  const decoder = await loadDecoder();
  using workshop = openWorkshop();
  workshop.compile(
    'sample.c',
    cSample,
    flags.filter((flag) => typeof flag === 'string'),
  );
  const object = readObject(workshop.read('sample.o'), 'sample.o');

  let compared = 0;
  for (const section of object.sections) {
    if ((section.flags & 4) === 0 || section.size === 0) continue;
    const listing = workshop.run('objdump', '-d', '-w', '-z', '-j', section.name, 'sample.o');
    const ours = decoder
      .decodeAll(section.data, 0n)
      .map(({ offset, bytes }) => `${offset}: ${hexBytes(bytes)}`);
    expect(ours, section.name).toEqual(parse(listing));
    compared += ours.length;
  }
  expect(compared).toBeGreaterThan(50);
});

it('the padding between functions is all no-ops, for every length', async () => {
  using workshop = openWorkshop();
  // The assembler fills 1 to 63 bytes up to the next 64-byte boundary, for a tuning with long no-ops.
  const source = Array.from({ length: 63 }, (_, i) => `.p2align 6\n.skip ${i + 1}, 0xc3\n.p2align 6\n`).join(
    '',
  );
  workshop.compile('padding.s', source);
  const object = readObject(workshop.read('padding.o'), 'padding.o');
  const text = object.sections.find(({ name }) => name === '.text')?.data ?? new Uint8Array();
  expect(text).toHaveLength(63 * 64);

  const decoder = await loadDecoder();
  const seen = new Set<number>();
  for (const { offset, length, bytes } of decoder.decodeAll(text, 0n)) {
    if (bytes[0] === 0xc3) continue;
    expect(nopLength(text, offset), hexBytes(bytes)).toBe(length);
    seen.add(length);
  }
  expect([...seen].sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
});

it('the range of each function holds whole instructions', async () => {
  const decoder = await loadDecoder();
  using workshop = openWorkshop();
  workshop.compile('sample.c', cSample, ['-O2']);
  const object = readObject(workshop.read('sample.o'), 'sample.o');
  const functions = object.symbols.filter(({ type }) => type === STT_FUNC);
  expect(functions.length).toBeGreaterThan(3);
  for (const { place, value, size, name } of functions) {
    const text = typeof place === 'number' ? object.sections[place]?.data : undefined;
    if (text === undefined) expect.fail(`${name} has no section`);
    const code = text.subarray(Number(value), Number(value) + size);
    expect(decoder.boundaryAtOrAfter(code, 0, size), name).toBe(size);
  }
});

/** `  4:\te8 00 00 00 00 \tcall ...` to `4: e8 00 00 00 00`. */
function parse(listing: string): readonly string[] {
  const row = /^ *([0-9a-f]+):\t([0-9a-f ]+?) *(?:\t|$)/gm;
  return Array.from(
    listing.matchAll(row),
    ([, offset = '', bytes]) => `${Number.parseInt(offset, 16)}: ${bytes}`,
  );
}
