/**
 * The modules of a kernel as files: a directory like /lib/modules/RELEASE.
 *
 * A module's name has underscores where its file's name may have hyphens, and the file may be compressed
 * (CONFIG_MODULE_COMPRESS_*): module snd_hda_intel is in snd-hda-intel.ko.xz. The files are looked for, instead of
 * reading depmod's index, since a package that was only unpacked has none.
 */
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MissingError, UsageError } from '../../diagnostics/error.ts';
import type { ObjectFile } from '../../elf/model.ts';
import { readObject } from '../../elf/read-object.ts';
import { compressionOf, decompress } from './decompress.ts';

/** Far above any module. */
const LARGEST_MODULE = 1 << 28;
const MODULE_FILE = /([^/]+)\.ko(?:\.(?:gz|xz|zst))?$/;

/** The name of the module in a file: its base name, with underscores. Undefined for another file. */
export function moduleNameOf(file: string): string | undefined {
  return MODULE_FILE.exec(file)?.[1]?.replaceAll('-', '_');
}

/** A module's file, decompressed and read. Throws FormatError, MissingError `missing_tool`. */
export async function readModuleFile(file: string): Promise<ObjectFile> {
  const bytes = await readFile(file);
  const compression = compressionOf(bytes);
  return readObject(
    compression === undefined ? bytes : await decompress(bytes, compression, LARGEST_MODULE, file),
    file,
  );
}

export class ModuleDirectory {
  readonly path: string;
  #files: ReadonlyMap<string, string> | undefined;

  constructor(path: string) {
    this.path = path;
  }

  /** Names of all modules in it. Throws UsageError if there is no such directory. */
  names(): readonly string[] {
    return [...this.#list().keys()];
  }

  /**
   * Reads a module, named with hyphens or underscores; `neededBy` depends on it. Throws MissingError `target_not_loaded`
   * if the directory has none.
   */
  async read(name: string, neededBy?: string): Promise<ObjectFile> {
    const file = this.#list().get(name.replaceAll('-', '_'));
    if (file === undefined) {
      const why = neededBy === undefined ? '' : `, which ${neededBy} depends on`;
      throw new MissingError('target_not_loaded', `${this.path}: has no module ${name}${why}`, {
        hint: 'it may be built into this kernel, or be in another package',
      });
    }
    return readModuleFile(file);
  }

  #list(): ReadonlyMap<string, string> {
    if (this.#files === undefined) {
      const files = new Map<string, string>();
      for (const file of listFiles(this.path)) {
        const name = moduleNameOf(file);
        if (name !== undefined && (!files.has(name) || isUpdate(file)))
          files.set(name, join(this.path, file));
      }
      this.#files = files;
    }
    return this.#files;
  }
}

/** depmod's order: what is in updates/ hides what the kernel came with. */
function isUpdate(file: string): boolean {
  return file.startsWith('updates/');
}

function listFiles(directory: string): readonly string[] {
  try {
    return readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError('usage', `cannot read the modules in ${directory}: ${reason}`, {
      hint: 'a directory like /lib/modules/RELEASE is needed',
      cause,
    });
  }
}
