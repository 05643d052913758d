/**
 * What each file that a patch names means for a running kernel, told from its path alone.
 *
 * A `.c` or `.S` file may be a unit of this configuration: kbuild decides that later. Headers, and files that appear
 * or vanish, are part of the units that include them (header-units.ts), or units of their own where a Makefile lists
 * them (new-units.ts). Other build rules change code in ways that are not followed, so they are refused rather than passed
 * over: an update that leaves half of a fix out is worse than none. What never reaches the kernel's code is passed over, with
 * a note.
 */
import { CORE_HINT, CORE_WHY, coreOfTree } from './core-of-tree.ts';
import type { Patch, PatchFile } from './patch/model.ts';

export interface TouchedFiles {
  /** `.c` and `.S` files that are changed and may be units; each once. */
  readonly sources: readonly string[];
  /** Files whose change reaches units through `#include` only: headers, and what appears or vanishes. */
  readonly included: readonly string[];
  /** Of `included`: files that the patches bring, and files that they take away. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** Makefiles that are changed; what they change decides whether that can be followed (new-units.ts). */
  readonly makefiles: readonly string[];
  /** Why the patch is not safe to take; empty if it is, as far as paths tell. */
  readonly refusals: readonly Refusal[];
  readonly notes: readonly string[];
}

export interface Refusal {
  readonly file: string;
  /** A sentence that begins with the file's name. */
  readonly message: string;
  /** What to do about it, where that is not the same for every refusal. */
  readonly hint?: string;
}

/** Directories whose contents are not part of a kernel image or module. */
const outside = /^(?:Documentation|LICENSES|tools|scripts|samples|usr|\.github)\//;

/** Code of architectures that an x86 kernel does not have. */
const otherArchitecture = /^arch\/(?!x86\/)[^/]+\//;

const noCode =
  /(?:^|\/)(?:Kconfig[^/]*|MAINTAINERS|CREDITS|COPYING|README[^/]*|\.[^/]+)$|\.(?:rst|txt|md|yaml|dts|dtsi)$/;

/** Code that the kernel carries and does not run as its own: its text is data, elsewhere or gone. */
const special: readonly (readonly [RegExp, string])[] = [
  [/^arch\/x86\/entry\/vdso\//, 'is part of the vDSO, which is mapped into processes'],
  [/^arch\/x86\/(?:boot|realmode|purgatory)\//, 'runs before or outside the kernel'],
  [/^(?:arch\/x86\/kernel\/asm-offsets[^/]*|kernel\/bounds)\.c$/, 'makes a header that all units include'],
];

/**
 * Assembly in which no function can be replaced, whatever section it puts them in: most of it runs where no
 * jump may stand, or where a module's code is not there.
 */
const specialFiles: readonly (readonly [RegExp, string])[] = [
  [/\.lds\.S$/, 'is a linker script: it lays the whole kernel out'],
  [/^arch\/x86\/entry\//, 'is entry code: it runs before the kernel has its page tables and stack'],
  [/^arch\/x86\/xen\//, 'is entry code for Xen: it runs before the kernel has its page tables and stack'],
  [
    /^arch\/x86\/(?:kernel\/(?:head_64|verify_cpu|sev_verify_cbit)|platform\/pvh\/head|mm\/mem_encrypt_boot)\.S$/,
    'is boot code, which has run already',
  ],
  [/^arch\/x86\/kernel\/relocate_kernel_64\.S$/, 'leads into another kernel (kexec), with this one gone'],
  [
    /^arch\/x86\/(?:power\/hibernate_asm_64|kernel\/acpi\/wakeup_64)\.S$/,
    'runs while the machine goes to sleep or wakes up, when neither modules nor jumps can be relied on',
  ],
  [/^arch\/x86\/platform\/efi\//, "calls the firmware, with the firmware's page tables"],
  [/^arch\/x86\/kernel\/ftrace_64\.S$/, 'is what ftrace is made of, and copied at run time'],
  [/^arch\/x86\/lib\/retpoline\.S$/, 'has the thunks that the kernel writes into all its code when it boots'],
];

/**
 * Why no function of this file can be replaced: a sentence about it, without its name. Undefined for other
 * assembly, for C, and for assembly of 32 bits, which no list of kbuild's has.
 */
export function specialAssembly(file: string): string | undefined {
  if (!file.endsWith('.S') || file.endsWith('_32.S')) return undefined;
  return specialFiles.find(([pattern]) => pattern.test(file))?.[1];
}

/**
 * Why a file must not be patched that `includer` includes although it is no unit: a sentence about the
 * file, without its name. Undefined where that inclusion does not matter: boot code has run already.
 */
export function refusedInclusion(includer: string, file: string): string | undefined {
  if (includer.startsWith('arch/x86/entry/vdso/')) {
    return `is included by ${includer}, part of the vDSO, which is mapped into processes: not supported`;
  }
  if (!includer.endsWith('.S')) return undefined;
  if (!file.endsWith('.S')) return `is included by ${includer}, which is assembly: not supported`;
  const special = specialAssembly(includer);
  return special === undefined ? undefined : `is included by ${includer}, which ${special}: not supported`;
}

export function classifyFiles(patches: readonly Patch[]): TouchedFiles {
  const sources = new Set<string>();
  const [included, added, removed] = [new Set<string>(), new Set<string>(), new Set<string>()];
  const makefiles = new Set<string>();
  const refusals: Refusal[] = [];
  const notes = new Set<string>();
  for (const file of patches.flatMap((patch) => patch.files)) {
    const verdict = classify(file);
    if (verdict.kind === 'source') sources.add(file.path);
    else if (verdict.kind === 'makefile') makefiles.add(file.path);
    else if (verdict.kind === 'included') {
      included.add(file.path);
      if (file.kind === 'new') added.add(file.path);
      if (file.kind === 'deleted') removed.add(file.path);
    } else if (verdict.kind === 'ignored') notes.add(`${file.path}: ignored: ${verdict.reason}`);
    else {
      const { reason, hint } = verdict;
      const message = `${file.path} ${reason}`;
      refusals.push({ file: file.path, message, ...(hint === undefined ? {} : { hint }) });
    }
  }
  const both = [...added].filter((name) => removed.has(name));
  refusals.push(...both.map((file) => ({ file, message: `${file} appears and is deleted: not supported` })));
  const files = { sources: [...sources], included: [...included], added: [...added], removed: [...removed] };
  return { ...files, makefiles: [...makefiles], refusals, notes: [...notes] };
}

type Verdict =
  | { readonly kind: 'source' }
  | { readonly kind: 'included' }
  | { readonly kind: 'makefile' }
  | { readonly kind: 'ignored'; readonly reason: string }
  | { readonly kind: 'refused'; readonly reason: string; readonly hint?: string };

function ignored(reason: string): Verdict {
  return { kind: 'ignored', reason };
}

function refused(reason: string): Verdict {
  return { kind: 'refused', reason };
}

function classify(file: PatchFile): Verdict {
  const { path, kind } = file;
  if (outside.test(path) || noCode.test(path)) return ignored('no kernel code');
  if (otherArchitecture.test(path)) return ignored('code of another architecture');
  if (kind === 'mode') return ignored('its permissions change, not its contents');
  if (coreOfTree.test(path)) return { kind: 'refused', reason: CORE_WHY, hint: CORE_HINT };
  if (kind === 'renamed') return refused(`is renamed from ${file.oldPath ?? 'another name'}: not supported`);
  if (kind === 'copied') return refused(`is copied from ${file.oldPath ?? 'another file'}: not supported`);
  if (kind === 'binary') return refused('is changed as a binary file: not supported');
  const found = special.find(([pattern]) => pattern.test(path));
  if (found !== undefined) return refused(`${found[1]}: not supported`);
  if (path.endsWith('.c')) return { kind: kind === 'changed' ? 'source' : 'included' };
  if (path.endsWith('.h')) return { kind: 'included' };
  if (path.endsWith('.S')) return classifyAssembly(path, kind);
  if (/(?:^|\/)(?:Makefile|Kbuild)$/.test(path)) {
    return kind === 'changed'
      ? { kind: 'makefile' }
      : refused('appears or is deleted, and with it a whole directory of the build: not supported');
  }
  return refused('is neither C nor known to be without effect: not supported');
}

function classifyAssembly(path: string, kind: PatchFile['kind']): Verdict {
  const special = specialAssembly(path);
  if (special !== undefined) return refused(`${special}: not supported`);
  if (kind === 'new') return refused('is a new file of assembly: not supported');
  if (kind === 'deleted') return refused('is assembly, and is deleted: not supported');
  return { kind: 'source' };
}
