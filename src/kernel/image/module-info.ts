import type { ObjectFile } from '../../elf/model.ts';

/** What a module's file says of it. */
export interface ModuleInfo {
  /** Names of the modules whose symbols it uses. */
  readonly depends: readonly string[];
  /** Release and options of the kernel it was built for; undefined if it does not say. */
  readonly versionMagic: string | undefined;
}

/** Reads `.modinfo`: texts of the form `key=value`, each with a NUL. Unknown keys are many, and passed over. */
export function moduleInfo(object: ObjectFile): ModuleInfo {
  const section = object.sections.find(({ name }) => name === '.modinfo');
  const entries = Buffer.from(section?.data ?? [])
    .toString('latin1')
    .split('\0');
  const valueOf = (key: string): string | undefined =>
    entries.find((entry) => entry.startsWith(`${key}=`))?.slice(key.length + 1);
  return {
    depends: (valueOf('depends') ?? '')
      .split(',')
      .filter((name) => name !== '')
      .map((name) => name.replaceAll('-', '_')),
    versionMagic: valueOf('vermagic'),
  };
}
