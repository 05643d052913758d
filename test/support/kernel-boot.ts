/** What a booting kernel writes into its code (arch/x86/kernel/alternative.c and its neighbours, 6.1). */
import type { ObjectFile, Relocation } from '../../src/elf/model.ts';
import { type Address, addressAt } from '../../src/kernel/address.ts';
import type { RewrittenPlace } from '../../src/kernel/tables/rewritten-place.ts';
import { staticCallKeyName } from '../../src/kernel/tables/static-calls.ts';
import {
  branch,
  bytesOf32,
  padding,
  plainReturn,
  type RetpolineForm,
  retpolineBytes,
} from './kernel-code.ts';

/** What the machine is like that the kernel boots on, and how it was configured. */
export interface Boot {
  /** Fentry places: nops, or calls of this address. */
  readonly traced?: bigint;
  /** Plain returns, or jumps to where x86_return_thunk points. */
  readonly returns?: 'plain' | 'thunk';
  readonly retpolines?: RetpolineForm;
  /** CPU features, by number; none. */
  readonly features?: readonly number[];
  readonly oneCpu?: boolean;
  /** Names of keys that are on. */
  readonly enabled?: readonly string[];
  /** Whose symbols these are; the kernel's own without. */
  readonly module?: string;
}

/** What rewriting asks of the kernel that boots. */
export interface BootingKernel {
  readonly read: (at: Address, size: number) => Uint8Array;
  /** Address of a symbol. */
  readonly external: (name: string) => bigint;
  /** The pointer at a symbol, or at an offset from it. */
  readonly pointerAt: (name: string, offset?: number) => bigint;
  /** S + A. */
  readonly value: (relocation: Relocation) => bigint;
  /** Puts a thunk where its_allocate_thunk() would. */
  readonly mapThunk: (bytes: readonly number[]) => Address;
  /** Is it __static_call_return0? */
  readonly returnsZero: (target: bigint) => boolean;
}

/** What the kernel writes at a place; nothing if it leaves it alone. */
export function rewritten(
  object: ObjectFile,
  place: RewrittenPlace,
  at: Address,
  boot: Boot,
  kernel: BootingKernel,
): readonly number[] {
  switch (place.kind) {
    case 'fentry':
      return boot.traced === undefined ? padding(5) : branch(0xe8, at, boot.traced);
    case 'return':
      return boot.returns === 'thunk' ? branch(0xe9, at, kernel.pointerAt('x86_return_thunk')) : plainReturn;
    case 'retpoline':
      return retpolineBytes(place, at, kernel.read(at, 2), boot.retpolines ?? 'thunk', (thunk) =>
        kernel.mapThunk(thunk),
      );
    case 'paravirt': {
      const target = kernel.pointerAt('pv_ops', place.type * 8);
      if (target === kernel.external('_paravirt_nop')) return padding(place.length);
      const call = branch(0xe8, at, target === 0n ? kernel.external('paravirt_BUG') : target);
      return [...call, ...padding(place.length - 5)];
    }
    case 'alternative': {
      const taken = boot.features?.includes(place.feature) === true;
      if (taken === place.negated) return optimized(kernel.read(at, place.length));
      const { bytes, relocations } = place.replacement;
      const written = [...bytes];
      for (const relocation of relocations) {
        // Calls and jumps are moved from where they were linked to where they are needed.
        const value = kernel.value(relocation) - at - BigInt(relocation.offset);
        written.splice(relocation.offset, 4, ...bytesOf32(value));
      }
      const distance = written.length === 5 ? Buffer.from(written).readInt32LE(1) : 0;
      // recompute_jump(): a jump that is short here becomes one.
      if (written.length === 5 && written[0] === 0xe9 && Math.abs(distance) < 100) {
        return [0xeb, (distance + 3) & 0xff, ...padding(place.length - 2)];
      }
      return [...written, ...padding(place.length - written.length)];
    }
    case 'smp-lock':
      return boot.oneCpu === true ? [0x3e] : [];
    case 'jump-label': {
      const key = object.symbols[place.key.symbol]?.name ?? '';
      const jumps = (boot.enabled?.includes(key) === true) !== place.branch;
      const distance = place.target.offset - place.offset - place.length;
      if (!jumps) return padding(place.length);
      return place.length === 2 ? [0xeb, distance & 0xff] : [0xe9, ...bytesOf32(BigInt(distance))];
    }
    case 'static-call': {
      const target = kernel.pointerAt(staticCallKeyName(object.symbols[place.key]?.name ?? ''));
      if (place.form === 'jcc') {
        const goes = target === 0n ? kernel.external('__x86_return_thunk') : target;
        return [0x0f, kernel.read(addressAt(at, 1), 1)[0] ?? 0, ...bytesOf32(goes - at - 6n)];
      }
      if (target === 0n && !place.tail) return padding(5);
      if (target === 0n) {
        return boot.returns === 'thunk'
          ? branch(0xe9, at, kernel.pointerAt('x86_return_thunk'))
          : plainReturn;
      }
      if (kernel.returnsZero(target) && !place.tail) return [0x2e, 0x2e, 0x2e, 0x31, 0xc0];
      return branch(place.tail ? 0xe9 : 0xe8, at, target);
    }
    case 'static-call-trampoline':
    case 'endbr':
      return [];
  }
}

/** optimize_nops(): the padding at the end becomes long nops. */
function optimized(found: Uint8Array): readonly number[] {
  const bytes = [...found];
  const { length } = bytes;
  let head = length;
  while (head > 0 && bytes[head - 1] === 0x90) head -= 1;
  return [...bytes.slice(0, head), ...padding(length - head)];
}
