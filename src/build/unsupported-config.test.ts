import { describe, expect, it } from 'vitest';
import { RefusedError } from '../diagnostics/error.ts';
import { parseConfig } from './kernel-config.ts';
import { refuseUnsupportedConfig } from './unsupported-config.ts';

describe('refuseUnsupportedConfig', () => {
  it('names every option under which objects are not final', () => {
    const config = parseConfig('CONFIG_X86_64=y\nCONFIG_X86_KERNEL_IBT=y\nCONFIG_LTO_CLANG=y\n');
    const refuse = (): void => refuseUnsupportedConfig(config, '/boot/config-x');
    expect(refuse).toThrow(RefusedError);
    expect(refuse).toThrow(/^\/boot\/config-x: .*CONFIG_X86_KERNEL_IBT=y.*CONFIG_LTO_CLANG=y/);
  });

  it('lets the configuration of a kernel pass that has none of them', () => {
    const config = parseConfig('CONFIG_X86_64=y\n# CONFIG_RANDSTRUCT is not set\nCONFIG_KASAN=y\n');
    expect(() => refuseUnsupportedConfig(config, 'config')).not.toThrow();
  });
});
