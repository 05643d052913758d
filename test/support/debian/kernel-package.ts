import type { DebianPackage, PackageFile } from '../../../src/packages/build-deb.ts';

/** Stands for the kernel's package, of which a guest needs name, version, and perhaps some modules: QEMU is given the kernel. */
export function kernelPackage(
  release: string,
  version: string,
  modules: readonly PackageFile[],
): DebianPackage {
  return {
    control: {
      Package: `linux-image-${release}`,
      Version: version,
      Architecture: 'amd64',
      Maintainer: 'nobody <nobody@localhost>',
      Description: 'stands for the kernel that QEMU was given',
    },
    files: modules,
    scripts: { postinst: `#!/bin/sh\nset -e\n[ ! -d /lib/modules/${release} ] || depmod ${release}\n` },
    time: 1_767_225_600,
    compression: 0,
  };
}
