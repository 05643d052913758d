import { describe, expect, it } from 'vitest';
import { compareConfigs, describeDifference, parseConfig } from './kernel-config.ts';

describe('configurations', () => {
  it('reads options as written and takes unset ones for absent', () => {
    const config = parseConfig('# x\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_S="a=b"\nCONFIG_N=0x10\n');
    expect([...config]).toEqual([
      ['A', 'y'],
      ['S', '"a=b"'],
      ['N', '0x10'],
    ]);
  });

  it('tells what makes another kernel from what does not', () => {
    const given = parseConfig(
      'CONFIG_RUST=y\nCONFIG_NR_CPUS=512\nCONFIG_AS_VERSION=24000\nCONFIG_PAHOLE_VERSION=124\n',
    );
    const here = parseConfig(
      'CONFIG_NR_CPUS=64\nCONFIG_AS_VERSION=24100\nCONFIG_BUILD_SALT=""\nCONFIG_NEW=y\n',
    );
    expect(compareConfigs(given, here).map((one) => [one.option, one.kind])).toEqual([
      ['AS_VERSION', 'tools'],
      ['BUILD_SALT', 'harmless'],
      ['NEW', 'default'],
      ['NR_CPUS', 'lost'],
      ['PAHOLE_VERSION', 'harmless'],
      ['RUST', 'lost'],
    ]);
  });

  it('describes a difference', () => {
    const [first] = compareConfigs(parseConfig('CONFIG_RUST=y\n'), parseConfig(''));
    expect(first === undefined ? '' : describeDifference(first)).toBe('CONFIG_RUST: y, not set here');
  });
});
