/**
 * Which kernel `create` is to make an update for, and where its parts are: from Debian by release, or what the
 * user has.
 */
import { existsSync } from 'node:fs';
import { release as runningRelease } from 'node:os';
import path from 'node:path';
import { debianSources } from '../debian/debian-sources.ts';
import type { DebianOptions } from '../debian/options.ts';
import { UsageError } from '../diagnostics/error.ts';
import { readImageIdentity } from './image-identity.ts';

export interface KernelChoice {
  readonly kernel?: string | undefined;
  readonly source?: string | undefined;
  readonly config?: string | undefined;
  readonly image?: string | undefined;
}

export interface KernelParts {
  readonly release: string;
  /** Version of the Debian package, if it comes from one. */
  readonly version: string | null;
  /** `uname -v` of it, if there is an image that says so. */
  readonly banner: string | null;
  readonly source: string;
  readonly config: string;
  /** Its vmlinuz, if there is one. */
  readonly image: string | null;
  /** Directory of Module.symvers. */
  readonly headers: string;
}

/** Which flags go together. Throws UsageError. */
export function checkKernelChoice(choice: KernelChoice): void {
  const { kernel, source, config, image } = choice;
  if (kernel !== undefined && source !== undefined) {
    throw new UsageError('usage', '--kernel and --source: only one of them says which kernel', {
      hint: '--kernel gets the source itself',
    });
  }
  if (source !== undefined && config === undefined) {
    throw new UsageError(
      'usage',
      '--source needs --config: the configuration that the kernel was built with',
      {
        hint: 'Debian has it as /boot/config-RELEASE',
      },
    );
  }
  if (source === undefined) {
    for (const [flag, value] of Object.entries({ '--config': config, '--image': image })) {
      if (value !== undefined) {
        throw new UsageError('usage', `${flag} needs --source`, {
          hint: 'with --kernel they come from the package',
        });
      }
    }
  }
}

/** Finds or downloads the parts. Throws UsageError, and what `debianSources` throws. */
export async function findKernelParts(choice: KernelChoice, options: DebianOptions): Promise<KernelParts> {
  checkKernelChoice(choice);
  if (choice.source !== undefined && choice.config !== undefined) {
    return await ownParts(choice.source, choice.config, choice.image);
  }
  const kernel = await debianSources(choice.kernel ?? runningRelease(), options);
  const { banner } = await readImageIdentity(kernel.image);
  const { release, version, source, config, image, headers } = kernel;
  return { release, version, banner, source, config, image, headers };
}

async function ownParts(source: string, config: string, image: string | undefined): Promise<KernelParts> {
  const identity = image === undefined ? undefined : await readImageIdentity(image);
  const release = identity?.release ?? /^config-(.+)$/.exec(path.basename(config))?.[1];
  if (release === undefined) {
    throw new UsageError('usage', `${config}: cannot tell the kernel's release`, {
      hint: 'give --image, or a configuration that is named config-RELEASE',
    });
  }
  return {
    release,
    version: null,
    banner: identity?.banner ?? null,
    source,
    config,
    image: image ?? null,
    headers: findHeaders(release, source),
  };
}

/** Where an installed kernel has its Module.symvers; else in the source tree, as a build leaves it. */
function findHeaders(release: string, source: string): string {
  const installed = [`/lib/modules/${release}/build`, `/usr/src/linux-headers-${release}`];
  return installed.find((directory) => existsSync(path.join(directory, 'Module.symvers'))) ?? source;
}
