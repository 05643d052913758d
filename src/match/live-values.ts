/**
 * What the kernel's own variables say about how it rewrites its text: which return thunk is in force,
 * where a paravirt operation or a static call goes now.
 *
 * All of it is read from live memory at need and remembered for one match, so that a place is held
 * against the value that the kernel would write there itself.
 */
import { MatchError } from '../diagnostics/error.ts';
import { type Address, addressAt, toAddress } from '../kernel/address.ts';
import { type Kernel, readIfMapped } from '../kernel/kernel.ts';
import type { SymbolScope } from '../kernel/symbol-scope.ts';
import { staticCallKeyName } from '../kernel/tables/static-calls.ts';

const registers = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ');

/** Symbols that explaining rewritten places may ask for; one lookup serves them all. */
export const liveNames: readonly string[] = [
  'x86_return_thunk',
  '__x86_return_thunk',
  'its_return_thunk',
  'pv_ops',
  '_paravirt_nop',
  'paravirt_BUG',
  '__static_call_return0',
  '__static_call_return',
  'ftrace_caller',
  'ftrace_regs_caller',
  '__fentry__',
  'ftrace_trampoline',
  'kprobe_optinsn_page',
  ...registers.map((register) => `__x86_indirect_thunk_${register}`),
  ...registers.map((register) => `__x86_indirect_its_thunk_${register}`),
];

export class LiveValues {
  readonly #kernel: Kernel;
  readonly #scope: SymbolScope;
  readonly #pointers = new Map<bigint, Address>();

  constructor(kernel: Kernel, scope: SymbolScope) {
    this.#kernel = kernel;
    this.#scope = scope;
  }

  get isRunning(): boolean {
    return this.#kernel.isRunning;
  }

  /** The only built-in symbol of this name; undefined if there is none, or more than one. */
  address(name: string): Address | undefined {
    const builtIn = this.#kernel.named(name);
    const first = builtIn[0];
    return builtIn.length === 1 ? first?.address : undefined;
  }

  /**
   * The key of a static call, which may be a module's own. A module that may not see the kernel's key names the
   * trampoline instead.
   */
  staticCallKey(name: string): Address {
    const key = staticCallKeyName(name);
    const [only, second] = this.#scope.reachable(key);
    if (only !== undefined && second === undefined) return only.address;
    throw new MatchError('failed_to_find', `kallsyms has no single symbol ${key}`);
  }

  required(name: string): Address {
    const found = this.address(name);
    if (found === undefined) {
      throw new MatchError('failed_to_find', `kallsyms has no single built-in symbol ${name}`);
    }
    return found;
  }

  /** The pointer stored at an address. */
  pointerAt(at: Address): Address {
    const known = this.#pointers.get(at);
    if (known !== undefined) return known;
    const bytes = this.#kernel.read(at, 8);
    const value = toAddress(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
    this.#pointers.set(at, value);
    return value;
  }

  /** Where a jump to the return thunk goes on this machine: the variable's value, if there is one. */
  returnThunk(): Address {
    const variable = this.address('x86_return_thunk');
    return variable === undefined ? this.required('__x86_return_thunk') : this.pointerAt(variable);
  }

  /** pv_ops[type], counted in pointers. */
  paravirtFunction(type: number): Address {
    return this.pointerAt(addressAt(this.required('pv_ops'), type * 8));
  }

  /**
   * Whose trampoline starts at an address outside the kernel's image. Those of ftrace and BPF are in
   * kallsyms, under names of their own (`[__builtin__ftrace]`, `[bpf]`).
   */
  trampolineOwner(at: Address): string | undefined {
    const made = this.#kernel.named('ftrace_trampoline', '__builtin__ftrace');
    if (made.some((each) => each.address === at)) return 'ftrace';
    const name = this.#kernel.describe(at) ?? '';
    return /^bpf_trampoline_\w+$/.test(name) ? name : undefined;
  }

  /** `__x86_indirect_thunk_REG` by the register's number. */
  indirectThunk(register: number): Address | undefined {
    return this.address(`__x86_indirect_thunk_${registers[register] ?? ''}`);
  }

  /** `__x86_indirect_its_thunk_REG`, which serves where no page for a thunk could be allocated. */
  itsThunk(register: number): Address | undefined {
    return this.address(`__x86_indirect_its_thunk_${registers[register] ?? ''}`);
  }

  read(at: Address, size: number): Uint8Array {
    return this.#kernel.read(at, size);
  }

  /** For an address that was itself read from code that may be anything: undefined where no memory is. */
  readIfMapped(at: Address, size: number): Uint8Array | undefined {
    return readIfMapped(this.#kernel, at, size);
  }

  /** Forget what was read, before a mismatch is believed: the kernel may have changed it meanwhile. */
  forget(): void {
    this.#pointers.clear();
    this.#kernel.refresh();
  }
}
