import { describe, expect, it } from 'vitest';
import { moduleNameOf, parseModuleList } from './module-lists.ts';

/** As `make -n` prints it for Linux 6.1, but for the traps before it. */
function recipe(names: string, directory: string, module: string): string {
  const make = `printf '%s\\n'   ${names} | awk '!x[$0]++ { print("${directory}/"$0) }' > ${directory}/${module}.mod`;
  return `set -e;     trap 'rm -f ${directory}/${module}.mod' HUP; ${make}; printf '%s\\n' 'cmd_x := y' > z.cmd`;
}

describe('the list of a module', () => {
  it('has its path, and its objects in their order, each once', () => {
    expect(parseModuleList(recipe('vlan.o vlan_dev.o vlan.o', 'net/8021q', '8021q'))).toEqual({
      path: 'net/8021q/8021q',
      objects: ['net/8021q/vlan.o', 'net/8021q/vlan_dev.o'],
    });
  });

  it('has the objects of other directories by their own paths', () => {
    expect(parseModuleList(recipe('../../../virt/kvm/kvm_main.o mmu/mmu.o', 'arch/x86/kvm', 'kvm'))).toEqual({
      path: 'arch/x86/kvm/kvm',
      objects: ['virt/kvm/kvm_main.o', 'arch/x86/kvm/mmu/mmu.o'],
    });
  });

  it.for([
    "set -e;  echo '  CC [M]  net/8021q/vlan.o'; gcc-12 -c -o net/8021q/vlan.o vlan.c",
    "printf '%s\\n' 'cmd_net/8021q/8021q.mod := printf' > net/8021q/.8021q.mod.cmd",
    '',
  ])('is not read from another line: %s', (line) => {
    expect(parseModuleList(line)).toBeUndefined();
  });
});

describe('the name of a module', () => {
  it('is what the kernel makes of its file name', () => {
    expect(moduleNameOf({ path: 'arch/x86/crypto/sha256-ssse3' })).toBe('sha256_ssse3');
  });
});
