import { describe, expect, it } from 'vitest';
import { hexToBytes } from '../../test/support/hex-table.ts';
import { sectionIndex } from '../elf/indices.ts';
import { toAddress } from '../kernel/address.ts';
import type { CodeMismatch } from './mismatch.ts';
import { reportMismatch } from './mismatch-report.ts';

const expected = '0f 1f 44 00 00 55 48 89 e5 31 c0 5d c3';

function mismatch(found: string, offset: number, place?: string): CodeMismatch {
  return {
    kind: 'code',
    unit: 'net/ipv4/ip_options.o',
    name: 'ip_options_get',
    offset,
    sectionOffset: 0x100 + offset,
    section: sectionIndex(1),
    start: toAddress(0xffffffff81000100n),
    found: hexToBytes(found),
    expected: hexToBytes(expected),
    line: undefined,
    place,
  };
}

describe('reportMismatch', () => {
  it('names unit, function, offset and the bytes of both sides', async () => {
    const { summary } = await reportMismatch(mismatch('0f 1f 44 00 00 55 48 89 e5 31 c9 5d c3', 10));
    expect(summary).toBe(
      'net/ipv4/ip_options.o: ip_options_get+0xa: found c9 5d c3 in the kernel, expected c0 5d c3',
    );
  });

  it('names the source line, where the update has it', async () => {
    const line = { file: 'net/ipv4/ip_options.c', line: 521 };
    const report = await reportMismatch({ ...mismatch('90 1f 44 00 00 55', 0), line });
    expect(report.summary).toContain('ip_options_get+0x0 (net/ipv4/ip_options.c:521): found 90');
    expect(report.line).toEqual(line);
  });

  it('disassembles both sides', async () => {
    const { running, source } = await reportMismatch(mismatch('0f 1f 44 00 00 55 48 89 e5 31 c9 5d c3', 10));
    expect(running.join('\n')).toMatch(/xor\s+%?ecx,\s*%?ecx/);
    expect(source.join('\n')).toMatch(/xor\s+%?eax,\s*%?eax/);
    expect(running.join('\n')).toMatch(/ret/);
    expect(source.join('\n')).not.toMatch(/ecx/);
  });

  it('a breakpoint is probably a kprobe, wherever it is', async () => {
    const probed = '0f 1f 44 00 00 cc 48 89 e5 31 c0 5d c3';
    for (const place of [undefined, 'jump-label']) {
      const { cause } = await reportMismatch(mismatch(probed, 5, place));
      expect(cause).toMatch(/kprobe/);
    }
  });

  it('a place that the kernel rewrites is named', async () => {
    const { cause } = await reportMismatch(mismatch('e9 1f 44 00 00 55 48 89 e5 31 c0 5d c3', 0, 'fentry'));
    expect(cause).toMatch(/the kernel rewrites this place \(fentry\)/);
  });

  it.each([
    [
      'a field at another offset',
      '8b 87 fc 00 00 00 c3',
      '8b 87 28 01 00 00 c3',
      2,
      /structure with another layout/,
    ],
    ['another constant', 'b8 08 00 00 00 c3', 'b8 10 00 00 00 c3', 1, /another constant/],
    ['a longer branch', '74 02 c3 c3 c3', '74 03 c3 c3 c3', 1, /a branch of another length/],
    [
      'another register',
      '8b 87 fc 00 00 00 c3',
      '8b 86 fc 00 00 00 c3',
      1,
      /^the update was made from another/,
    ],
  ])('%s', async (_, source, found, offset, cause) => {
    const report = await reportMismatch({ ...mismatch(found, offset), expected: hexToBytes(source) });
    expect(report.cause).toMatch(cause);
  });

  it('anything else is another source, configuration or compiler', async () => {
    const { cause } = await reportMismatch(mismatch('0f 1f 44 00 00 53 48 89 e5 31 c0 5d c3', 5));
    expect(cause).toMatch(/another source, configuration or compiler/);
  });

  it('a symbol: what was found and what was expected', async () => {
    const report = await reportMismatch({
      kind: 'symbol',
      unit: 'a.o',
      name: 'printk',
      found: 'panic',
      expected: 'printk as kallsyms lists it',
      reason: 'no_match',
    });
    expect(report.summary).toBe('a.o: printk: found panic, expected printk as kallsyms lists it');
    expect(report.running).toEqual([]);
  });
});
