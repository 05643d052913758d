import { FakeKernel } from './fake-kernel.ts';

/** Where the small kernel has what its units refer to. */
export const addresses = {
  __fentry__: 0xffffffff81f00000n,
  ftrace_caller: 0xffffffff81f00100n,
  __x86_return_thunk: 0xffffffff81f01000n,
  /** The thunk in force. */
  srso_return_thunk: 0xffffffff81f01040n,
  _paravirt_nop: 0xffffffff81f02000n,
  paravirt_BUG: 0xffffffff81f02010n,
  native_irq_disable: 0xffffffff81f02020n,
  __static_call_return0: 0xffffffff81f03000n,
  __static_call_return: 0xffffffff81f03010n,
  chosen: 0xffffffff81f03020n,
  printk: 0xffffffff81f04000n,
  memcpy_fast: 0xffffffff81f04100n,
  memcpy_slow: 0xffffffff81f04200n,
  jiffies: 0xffffffff82f00000n,
  key: 0xffffffff82f00100n,
} as const;

/** Made while it runs. */
export const ftraceTrampoline = 0xffffffffc0123000n;
export const bpfTrampoline = 0xffffffffc0125000n;

export const pvOps = 0xffffffff82f10000n;
/** Index of an operation in pv_ops. */
export const paravirt = { call: 1, nop: 2, missing: 3 } as const;
export const staticCallKey = 0xffffffff82f30000n;

const registers = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ');

export interface SmallKernelOptions {
  /** What the static call `__SCK__x` goes to: `chosen`. */
  readonly staticCall?: bigint;
}

/** A kernel that has what the machine-dependent code of a unit refers to, and nothing else. */
export function smallKernel(options: SmallKernelOptions = {}): FakeKernel {
  const kernel = new FakeKernel();
  for (const [name, address] of Object.entries(addresses)) kernel.define(name, address);
  kernel.define('ftrace_trampoline', ftraceTrampoline, 't', '__builtin__ftrace');
  kernel.define('bpf_trampoline_6442', bpfTrampoline, 't', 'bpf');
  registers.forEach((register, i) => {
    kernel.define(`__x86_indirect_thunk_${register}`, 0xffffffff81f05000n + BigInt(i) * 0x20n);
  });
  kernel.pointer('x86_return_thunk', 0xffffffff82f20000n, addresses.srso_return_thunk);
  const operations = Buffer.alloc(64);
  operations.writeBigUInt64LE(addresses.native_irq_disable, paravirt.call * 8);
  operations.writeBigUInt64LE(addresses._paravirt_nop, paravirt.nop * 8);
  kernel.map(pvOps, operations);
  kernel.define('pv_ops', pvOps, 'D');
  kernel.pointer('__SCK__x', staticCallKey, options.staticCall ?? addresses.chosen);
  kernel.define('__SCT__x', 0xffffffff81f06000n);
  return kernel;
}
