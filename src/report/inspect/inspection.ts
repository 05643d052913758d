/** What `ksplice inspect` tells of an update, as data: text, JSON and the page are made of it. */
import type { UnitCheck } from '../../link/check-update.ts';
import type { FunctionChanges, Remark, UnitChanges } from '../../update/changes.ts';
import type { ManifestHook, ManifestKernel, ManifestReference } from '../../update/manifest.ts';
import type { LivepatchReason } from '../../update/trampoline-site.ts';
import type { UpdateBelow } from '../../update/update.ts';
import type { CodeRow } from './compare-code.ts';
import type { RunFunction } from './run-code.ts';

/** Of a replaced function: all of it, or its cold part, before and after. */
export interface InspectedCode {
  readonly name: string;
  readonly rows: readonly CodeRow[];
}

export interface InspectedFunction {
  /** In the kernel. */
  readonly name: string;
  /** The update below whose code is replaced; null for the kernel's own. */
  readonly owner: string | null;
  /** Bytes; cold parts included. */
  readonly sizes: { readonly pre: number; readonly post: number };
  readonly site: { readonly offset: number; readonly size: number };
  readonly needsLivepatch: LivepatchReason | null;
  /** What differs, in words, and which lines of the patch have code in it; null if that was not recorded. */
  readonly found: Pick<FunctionChanges, 'why' | 'code'> | null;
  readonly code: readonly InspectedCode[];
  /** In the kernel that the update was checked against; null without. */
  readonly run: RunFunction | null;
}

export interface NewFunction {
  readonly name: string;
  readonly size: number;
  readonly code: readonly InspectedCode[];
}

export interface InspectedReference extends ManifestReference {
  /** Functions and objects of the replacement code that name it. */
  readonly usedBy: readonly string[];
  /** How it is found. */
  readonly how: string;
}

export interface InspectedUnit {
  readonly path: string;
  readonly source: string;
  readonly target: string;
  readonly sizes: { readonly pre: number; readonly replacement: number };
  /** Bytes of the sections of its replacement code that lie in memory. */
  readonly memory: { readonly text: number; readonly readOnly: number; readonly writable: number };
  readonly functions: readonly InspectedFunction[];
  readonly newFunctions: readonly NewFunction[];
  readonly hooks: readonly ManifestHook[];
  readonly references: readonly InspectedReference[];
  readonly escapes: { readonly escapes: boolean; readonly reasons: readonly string[] };
  /** What create recorded of it. */
  readonly changes: Omit<UnitChanges, 'functions' | 'files' | 'lines' | 'path'> | null;
}

export interface InspectedPatch {
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
  readonly text: string;
}

export interface Inspection {
  readonly file: string;
  readonly size: number;
  readonly digest: string;
  readonly id: string;
  readonly description: string;
  readonly cves: readonly string[];
  /** The updates that it is on top of, from the lowest up. */
  readonly on: readonly UpdateBelow[];
  readonly createdBy: string;
  /** Who signed it, and what this machine thinks of that; null if nobody did and nobody asks. */
  readonly signedBy: string | null;
  readonly matching: 'strict' | 'tolerant';
  readonly kernel: ManifestKernel;
  readonly core: { readonly interface: number; readonly size: number };
  readonly stub: { readonly size: number };
  readonly patches: readonly InspectedPatch[];
  readonly units: readonly InspectedUnit[];
  /** What create said, and what it compiled in vain; null if it did not record it. */
  readonly created: {
    readonly notes: readonly string[];
    readonly remarks: readonly Remark[];
    readonly same: readonly string[];
  } | null;
  readonly check: KernelCheck | null;
}

/** The kernel that the update was held against, and what was found. */
export interface KernelCheck {
  readonly release: string;
  readonly banner: string | null;
  /** `running`, or the path of its image. */
  readonly kernel: string;
  readonly fits: boolean;
  /** Why not, where its code is what was expected and something else is not. */
  readonly problem: string | null;
  readonly units: readonly UnitCheck[];
}
