/**
 * Where fixed modules lie on the machine: /lib/modules/RELEASE/updates/ksplice/ID, with
 *
 *     NAME.ko         a module that the update carries as a whole
 *     manifest.json   as in the update file: whose the files are, for which kernel, and their SHA-256
 *
 * depmod prefers `updates/` to the kernel's own modules (depmod.d(5), `search updates built-in` unless the machine says
 * otherwise). The directory outlives a reboot, and the update does not: what to make of one is decided from what is in it.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { type Manifest, type ManifestModule, parseManifest } from '../update/manifest.ts';
import { sha256 } from '../update/sha256.ts';
import { isUpdateId } from '../update/update-id.ts';
import { MODULES_ROOT } from './paths.ts';
import { runningIdentity } from './running-identity.ts';

export const MANIFEST_FILE = 'manifest.json';

/** The modules of one kernel release. */
export class ModuleTree {
  /** `/lib/modules/RELEASE`. */
  readonly root: string;
  readonly release: string;

  constructor(release: string = runningIdentity().release, modulesRoot: string = MODULES_ROOT) {
    this.release = release;
    this.root = path.join(modulesRoot, release);
  }

  /** The directory of all updates. */
  get updates(): string {
    return path.join(this.root, 'updates', 'ksplice');
  }

  directoryOf(id: string): string {
    return path.join(this.updates, id);
  }

  fileOf(id: string, module: Pick<ManifestModule, 'file'>): string {
    return path.join(this.directoryOf(id), module.file);
  }

  /**
   * The file that modprobe takes for a module, relative to the root; undefined if the machine has none. Read from
   * modules.dep, of which modprobe's own index is a copy. Throws the file system's error if there is none.
   */
  firstFile(module: string): string | undefined {
    const lines = readFileSync(path.join(this.root, 'modules.dep'), 'latin1').split('\n');
    return lines
      .map((line) => line.slice(0, line.indexOf(':')))
      .find(
        (file) =>
          path
            .basename(file)
            .replace(/\.ko(\.\w+)?$/, '')
            .replaceAll('-', '_') === module,
      );
  }
}

/** What an update has put there. */
export interface InstalledUpdate {
  readonly id: string;
  readonly manifest: Manifest;
  readonly modules: readonly InstalledModule[];
}

export interface InstalledModule extends ManifestModule {
  /** Absolute. */
  readonly path: string;
  /** Whether the file is there, and the one that was installed. */
  readonly state: 'ours' | 'altered' | 'gone';
}

function stateOf(file: string, digest: string): InstalledModule['state'] {
  if (!existsSync(file)) return 'gone';
  return sha256(readFileSync(file)) === digest ? 'ours' : 'altered';
}

/** Undefined if there is no such directory; throws FormatError if its manifest is not one. */
export function readInstalled(tree: ModuleTree, id: string): InstalledUpdate | undefined {
  const file = path.join(tree.directoryOf(id), MANIFEST_FILE);
  if (!isUpdateId(id) || !existsSync(file)) return undefined;
  const manifest = parseManifest(readFileSync(file), file);
  const modules = (manifest.modules ?? []).map((module) => {
    const at = tree.fileOf(id, module);
    return { ...module, path: at, state: stateOf(at, module.object.sha256) };
  });
  return { id, manifest, modules };
}

/** All updates that have put something there, by ID. */
export function listInstalled(tree: ModuleTree): readonly InstalledUpdate[] {
  if (!existsSync(tree.updates)) return [];
  return readdirSync(tree.updates)
    .sort()
    .flatMap((id) => readInstalled(tree, id) ?? []);
}
