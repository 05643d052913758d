/**
 * Kernel configurations, and what may differ between the given one and what kbuild makes of it here.
 *
 * `make olddefconfig` asks this machine's tools what they can do and silently drops options that they
 * cannot serve. A kernel compiled without an option is another kernel: struct layouts and code change. So
 * afterwards every option that was set must be set the same, save those that reach no code.
 */

/** Name without `CONFIG_` to value, as written: `y`, `m`, `"text"`, `0x10`. Unset options are absent. */
export type KernelConfig = ReadonlyMap<string, string>;

export function parseConfig(text: string): KernelConfig {
  const options = new Map<string, string>();
  for (const line of text.split('\n')) {
    const found = /^CONFIG_(\w+)=(.*)$/.exec(line);
    if (found?.[1] !== undefined && found[2] !== undefined) options.set(found[1], found[2]);
  }
  return options;
}

export interface ConfigDifference {
  readonly option: string;
  /** Undefined: not set. */
  readonly given: string | undefined;
  readonly here: string | undefined;
  /**
   * `harmless`: reaches no code; `tools`: the version of a tool, which may or may not show in the code
   * (matching will tell); `default`: new here, not set to anything in the given one; `lost`: the kernel
   * built here would be another one.
   */
  readonly kind: 'harmless' | 'tools' | 'default' | 'lost';
}

/**
 * Options that name keys, salts and packaging, or say what tools can do that no source file asks for.
 * pahole's version matters only to the BTF of a whole vmlinux, which is never made here.
 * Distributors remove some of them from the configuration that they ship.
 */
const harmless =
  /^(?:BUILD_SALT|MODULE_SIG_ALL|MODULE_SIG_KEY|MODULE_SIG_KEY_TYPE_\w+|SYSTEM_TRUSTED_KEYS|SYSTEM_REVOCATION_KEYS|CC_CAN_LINK|CC_CAN_LINK_STATIC|PAHOLE_\w+|RUSTC_\w+|BINDGEN_\w+|LLD_VERSION|CLANG_VERSION|INITRAMFS_SOURCE)$/;

/** Versions of tools; what depends on them has options of its own, which are compared too. */
const tools = /^(?:AS_VERSION|LD_VERSION|GCC_VERSION|CC_VERSION_TEXT)$/;

export function compareConfigs(given: KernelConfig, here: KernelConfig): readonly ConfigDifference[] {
  const names = [...new Set([...given.keys(), ...here.keys()])].sort();
  return names.flatMap((option): ConfigDifference[] => {
    const [was, is] = [given.get(option), here.get(option)];
    if (was === is) return [];
    const kind = harmless.test(option)
      ? 'harmless'
      : tools.test(option)
        ? 'tools'
        : was === undefined
          ? 'default'
          : 'lost';
    return [{ option, given: was, here: is, kind }];
  });
}

/** `CONFIG_RUST: y, not set here`. */
export function describeDifference(difference: ConfigDifference): string {
  return `CONFIG_${difference.option}: ${difference.given ?? 'not set'}, ${difference.here ?? 'not set'} here`;
}
