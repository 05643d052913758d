/**
 * What modules are made of, as kbuild's `make -n` tells it.
 *
 * For each module kbuild writes `NAME.mod`, the list of its objects in the order in which they are linked. The recipe
 * (cmd_mod in scripts/Makefile.build) has the directory and the names in plain text:
 *
 *     printf '%s\n'   vlan.o vlan_dev.o | awk '!x[$0]++ { print("net/8021q/"$0) }' > net/8021q/8021q.mod; ...
 */
import path from 'node:path';

/** A module of the configuration. */
export interface ModuleList {
  /** Where kbuild makes it, relative to the build directory, without `.ko`: `net/sched/sch_fq-x`. */
  readonly path: string;
  /** Its objects in the order of the link, each once: `net/8021q/vlan.o`. */
  readonly objects: readonly string[];
}

const RECIPE =
  /printf '%s\\n'\s+([^|;]*?)\s*\| *\S*awk '[^']*print\("([^"]*)" *\$0\)[^']*' > (\S+)\.mod(?:;|$)/;

/** Undefined for a line that is no recipe of a `.mod` file. */
export function parseModuleList(line: string): ModuleList | undefined {
  const [, names, directory = '', module] = RECIPE.exec(line) ?? [];
  if (names === undefined || module === undefined) return undefined;
  // kvm.ko is made of `arch/x86/kvm/../../../virt/kvm/kvm_main.o`.
  const objects = names.split(/\s+/).map((name) => path.posix.normalize(`${directory}${name}`));
  return { path: path.posix.normalize(module), objects: [...new Set(objects)] };
}

/** A module's name as the kernel has it (KBUILD_MODNAME): `sha256_ssse3` of `arch/x86/crypto/sha256-ssse3`. */
export function moduleNameOf(module: Pick<ModuleList, 'path'>): string {
  return path.posix.basename(module.path).replace(/[-,]/g, '_');
}
