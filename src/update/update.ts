import type { Manifest, ManifestHook, ManifestKernel, ManifestModule, ManifestUnit } from './manifest.ts';
import type { UpdateSignature } from './signature.ts';

/** The text of one patch file. */
export interface UpdatePatch {
  /** Base name of the file. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** One object file that the patch changes: what the manifest says of it, and its two objects. */
export interface UpdateUnit extends Readonly<Omit<ManifestUnit, 'pre' | 'replacement' | 'hooks' | 'on'>> {
  /** Functions for the core to call, maybe none. */
  readonly hooks: readonly ManifestHook[];
  /** ELF object: the whole unit before the patch, compiled as `matching` says. */
  readonly pre: Uint8Array;
  /** ELF object: the replacement code. */
  readonly replacement: Uint8Array;
  /** What updates below have for this unit, from the lowest up: their replacement objects. */
  readonly on: readonly CodeBelow[];
}

/** Replacement code of an update below, as its own file has it. */
export interface CodeBelow {
  readonly id: string;
  /** ELF object. */
  readonly replacement: Uint8Array;
}

/** An update that another one is made on top of. */
export interface UpdateBelow {
  readonly id: string;
  /** See `Update.digest`. */
  readonly digest: string;
}

/** A whole module with the patch in it. */
export interface UpdateModule extends Readonly<Omit<ManifestModule, 'object'>> {
  /** The .ko. */
  readonly bytes: Uint8Array;
}

/** Everything that goes into an update file. */
export interface UpdateContents {
  readonly id: string;
  readonly description: string;
  /** CVE numbers of what it fixes: rising, each once, maybe none. */
  readonly cves: readonly string[];
  /** The updates that it is made on top of, from the lowest up, maybe none. */
  readonly on: readonly UpdateBelow[];
  /**
   * What the pre objects are: compiled plainly, to be matched byte for byte; or with a section for each function and
   * object, to be matched where the kernel is laid out in another way.
   */
  readonly matching: 'strict' | 'tolerant';
  readonly kernel: ManifestKernel;
  /** KSPLICE_INTERFACE of the core that was compiled. */
  readonly coreInterface: number;
  readonly patches: readonly UpdatePatch[];
  readonly units: readonly UpdateUnit[];
  /** By name, maybe none: modules for machines on which they are not loaded. */
  readonly modules: readonly UpdateModule[];
  /** changes.json (changes.ts): what was found when it was made, if that was recorded. */
  readonly changes: Uint8Array | undefined;
  /** ELF object: the core, linked to a module for this kernel; its undefined symbols are the kernel's. */
  readonly core: Uint8Array;
  /** ELF object: `struct module` and the tables that every update module starts from. */
  readonly stub: Uint8Array;
  /** ELF object: the same for the kernel's own livepatch; undefined for a kernel without it. */
  readonly livepatch: Uint8Array | undefined;
  /** Name and version of the program. */
  readonly createdBy: string;
}

/** An update file that was read and checked in full. */
export interface Update extends UpdateContents {
  readonly manifest: Manifest;
  /**
   * SHA-256 of manifest.json, hexadecimal. As the manifest holds the SHA-256 of everything else, two files
   * are the same update exactly when this is equal, whoever signed them.
   */
  readonly digest: string;
  /** Who says to have made it; well-formed and for this manifest, but not verified. Undefined: nobody. */
  readonly signature: UpdateSignature | undefined;
}
