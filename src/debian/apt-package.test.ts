import { describe, expect, it } from 'vitest';
import { FormatError } from '../diagnostics/error.ts';
import { parseAptShow } from './apt-package.ts';

const HASH = 'ab'.repeat(32);

function stanza(fields: Readonly<Record<string, string | undefined>>): string {
  const all = {
    Package: 'linux-source-6.1',
    Source: 'linux',
    Version: '6.1.170-3',
    Architecture: 'all',
    Filename: 'pool/x.deb',
    Size: '1234',
    SHA256: HASH,
    ...fields,
  };
  return Object.entries(all)
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}\n`]))
    .join('');
}

describe('parseAptShow', () => {
  it('reads one record a stanza, in order', () => {
    const packages = parseAptShow(`${stanza({ Version: '6.1.176-1' })}\n${stanza({})}\n\n`);
    expect(packages.map((one) => one.version)).toEqual(['6.1.176-1', '6.1.170-3']);
    expect(packages[1]).toEqual({
      name: 'linux-source-6.1',
      version: '6.1.170-3',
      architecture: 'all',
      size: 1234,
      sha256: HASH,
      linuxVersion: '6.1.170-3',
    });
  });

  // Source, Built-Using, Version => version of the source package linux
  const origins: readonly (readonly [
    string,
    string | undefined,
    string | undefined,
    string,
    string | undefined,
  ])[] = [
    ['unsigned image, headers, source', 'linux', undefined, '6.1.170-3', '6.1.170-3'],
    ['rebuilt binary', 'linux (6.1.170-3)', undefined, '6.1.170-3+b1', '6.1.170-3'],
    ['signed image', 'linux-signed-amd64 (6.1.170+3)', 'linux (= 6.1.170-3)', '6.1.170-3', '6.1.170-3'],
    ['one of several', 'x', 'gcc-12 (= 12.2.0-14), linux (= 6.1.170-3)', '1', '6.1.170-3'],
    ['another package that uses linux-foo', 'x', 'linux-foo (= 3)', '1', undefined],
    ['no kernel package', 'linux-base', undefined, '4.9', undefined],
    ['source named like the package', undefined, undefined, '4.9', undefined],
  ];
  for (const [name, source, builtUsing, version, expected] of origins) {
    it(`finds the linux version of: ${name}`, () => {
      const text = stanza({ Source: source, 'Built-Using': builtUsing, Version: version });
      expect(parseAptShow(text)[0]?.linuxVersion).toBe(expected);
    });
  }

  it('skips the text of continued fields', () => {
    const text = `${stanza({})}Description: a kernel\n Version: 9 is not a field\n .\n more\n`;
    expect(parseAptShow(text)[0]?.version).toBe('6.1.170-3');
  });

  it('leaves out what is only installed and cannot be downloaded', () => {
    expect(
      parseAptShow(stanza({ SHA256: undefined, Filename: undefined, Status: 'install ok installed' })),
    ).toEqual([]);
  });

  it('is empty for no output', () => {
    expect(parseAptShow('')).toEqual([]);
  });

  const broken: readonly (readonly [string, string])[] = [
    ['a line without a field', `${stanza({})}garbage\n`],
    ['no version', stanza({ Version: undefined })],
    ['a size that is no number', stanza({ Size: 'big' })],
    ['a hash that is none', stanza({ SHA256: 'abc' })],
  ];
  for (const [name, text] of broken) {
    it(`refuses ${name}`, () => {
      expect(() => parseAptShow(text)).toThrow(FormatError);
    });
  }
});
