/**
 * The legal contents of a place that the kernel rewrites.
 *
 * For each kind of place the possible contents can be enumerated: what the kernel writes there is a
 * function of few variables, which we read from its memory. A content that is none of these is a
 * mismatch, however plausible it looks. The functions of arch/x86/kernel that do the writing are named
 * at each kind (6.1).
 */
import { R_X86_64_PC32 } from '../elf/constants.ts';
import type { ObjectFile } from '../elf/model.ts';
import { type Address, addressAt } from '../kernel/address.ts';
import type {
  AlternativePlace,
  JumpLabelPlace,
  ParavirtPlace,
  RetpolinePlace,
  ReturnPlace,
  RewrittenPlace,
  StaticCallPlace,
} from '../kernel/tables/rewritten-place.ts';
import { isNopSequence } from '../x86/nops.ts';
import type { Choice } from './boot-choices.ts';
import type { LiveValues } from './live-values.ts';
import { compareVariant, type Observation } from './variant.ts';

const CALL = 0xe8;
const JMP = 0xe9;
const JMP_SHORT = 0xeb;
const RET = 0xc3;
const INT3 = 0xcc;
/** cs cs cs xor %eax,%eax: a static call of __static_call_return0(). */
const XOR5_EAX = [0x2e, 0x2e, 0x2e, 0x31, 0xc0];
const CS_PREFIX = 0x2e;
const LFENCE = [0x0f, 0xae, 0xe8];
const NOP2 = [0x66, 0x90];
const NOP5 = [0x0f, 0x1f, 0x44, 0x00, 0x00];
/** Where modules and ftrace's trampolines are allocated (MODULES_VADDR, MODULES_END). */
const MODULES_START = 0xffffffffc0000000n;
const MODULES_END = 0xffffffffff000000n;

export interface Explanation {
  /** For people and JSON: `return: plain`, `alternative: feature 9*32+18`. */
  readonly what: string;
  /** Symbol values that the content shows, where it shows any. */
  readonly observations: readonly Observation[];
  /** What the kernel must have chosen to write this. */
  readonly choices: readonly Choice[];
}

interface Context {
  readonly object: ObjectFile;
  readonly live: LiveValues;
  readonly run: Uint8Array;
  /** Address of the place, by which the branches in `run` count. */
  readonly at: Address;
  /** Where it lies in memory. */
  readonly inMemory: Address;
}

function startsWith(run: Uint8Array, offset: number, bytes: readonly number[]): boolean {
  return bytes.every((byte, i) => run[offset + i] === byte);
}

function onlyInt3(run: Uint8Array, from: number, to: number): boolean {
  return run.subarray(from, to).every((byte) => byte === INT3);
}

function rel32(run: Uint8Array, offset: number, at: Address): Address {
  const view = new DataView(run.buffer, run.byteOffset + offset);
  return addressAt(at, 4 + view.getInt32(0, true));
}

function explained(what: string, ...choices: readonly Choice[]): Explanation {
  return { what, observations: [], choices };
}

/** ftrace_make_nop(), ftrace_make_call(): a nop, or a call to ftrace or one of its trampolines. */
function explainFentry({ live, run, at }: Context, offset: number): Explanation | undefined {
  if (startsWith(run, offset, NOP5)) return explained('fentry: nop');
  if (run[offset] !== CALL) return undefined;
  const target = rel32(run, offset + 1, addressAt(at, 1));
  const names = ['ftrace_caller', 'ftrace_regs_caller', '__fentry__'];
  if (names.some((name) => live.address(name) === target)) return explained('fentry: traced');
  const owner = live.trampolineOwner(target);
  return owner === undefined ? undefined : explained(`fentry: trampoline of ${owner}`);
}

const UPPER_HALF = 0x20n;

/** Whether a byte lies in the lower half of its cache line, where ITS makes branches unsafe. */
function inLowerHalf(address: bigint): boolean {
  return (address & UPPER_HALF) === 0n;
}

/**
 * apply_returns(), patch_return(): one form everywhere, but for its_return_thunk: where it is in force, only
 * returns in the lower half of a cache line go there (cpu_wants_rethunk_at()).
 */
function explainReturn(place: ReturnPlace, context: Context, offset: number): Explanation | undefined {
  const { live, run, at, inMemory } = context;
  const thunk = live.returnThunk();
  const dependsOnAddress = thunk === live.address('its_return_thunk');
  if (run[offset] === RET && onlyInt3(run, offset + 1, offset + place.length)) {
    if (!dependsOnAddress) return explained('return: plain', { what: 'returns', value: 'plain' });
    return inLowerHalf(inMemory) ? undefined : explained('return: plain');
  }
  if (run[offset] !== JMP || !onlyInt3(run, offset + 5, offset + place.length)) return undefined;
  if (rel32(run, offset + 1, addressAt(at, 1)) !== thunk) return undefined;
  if (!dependsOnAddress) return explained('return: thunk', { what: 'returns', value: 'thunk' });
  return inLowerHalf(inMemory) ? explained('return: ITS thunk') : undefined;
}

/**
 * emit_its_trampoline(): the kernel's own thunk, or one made for this place: its_init_thunk(): the branch itself, in the
 * upper half of a cache line (its_allocate_thunk()).
 */
function isItsThunk(live: LiveValues, target: Address, register: number): boolean {
  if (target === live.itsThunk(register)) return true;
  const bytes = register >= 8 ? [0x41, 0xff, 0xe0 + register - 8, INT3] : [0xff, 0xe0 + register, INT3];
  const found = live.readIfMapped(target, bytes.length);
  return (
    found !== undefined &&
    startsWith(found, 0, bytes) &&
    !inLowerHalf(addressAt(target, bytes.length - 2)) &&
    target >= MODULES_START &&
    target < MODULES_END
  );
}

function indirectBranch(form: 'call' | 'jmp', register: number): readonly number[] {
  const modrm = (form === 'call' ? 0xd0 : 0xe0) + (register & 7);
  return register >= 8 ? [0x41, 0xff, modrm] : [0xff, modrm];
}

function its(value: 'on' | 'off'): Choice {
  return { what: 'ITS', value };
}

/**
 * apply_retpolines(), patch_retpoline(): left alone, or the indirect branch itself; where that would end in the
 * lower half of a cache line on a CPU with ITS, a branch to a thunk made for it
 * (cpu_wants_indirect_its_thunk_at()).
 */
function explainRetpoline(place: RetpolinePlace, context: Context, offset: number): Explanation | undefined {
  const { live, run, at, inMemory } = context;
  const { form, register, length } = place;
  // CS prefixes, as many as make up the length, come before the branch itself.
  const condition = place.condition ?? 0;
  const opcode = form === 'jcc' ? [0x0f, 0x80 + condition] : [form === 'call' ? CALL : JMP];
  const prefixes = Array.from({ length: length - opcode.length - 4 }, () => CS_PREFIX);
  const displacement = length - 4;
  const byThunk: Choice = { what: 'indirect branches', value: 'thunk' };
  const direct: Choice = { what: 'indirect branches', value: 'direct' };
  if (startsWith(run, offset, [...prefixes, ...opcode])) {
    const target = rel32(run, offset + displacement, addressAt(at, displacement));
    if (target === live.indirectThunk(register)) return explained('retpoline: thunk', byThunk);
    if (isItsThunk(live, target, register)) return explained('retpoline: ITS thunk', direct, its('on'));
    return undefined;
  }
  let i = offset;
  if (form === 'jcc') {
    const inverted = 0x70 + (condition ^ 1);
    if (run[i] !== inverted || run[i + 1] !== length - 2) return undefined;
    i += 2;
  }
  const fenced = startsWith(run, i, LFENCE);
  if (fenced) i += LFENCE.length;
  const branch = indirectBranch(form === 'call' ? 'call' : 'jmp', register);
  if (!startsWith(run, i, branch)) return undefined;
  i += branch.length;
  const isUnsafe = inLowerHalf(addressAt(inMemory, i - 1 - offset));
  if (form !== 'call' && i < offset + length && run[i] === INT3) i += 1;
  if (!isNopSequence(run.subarray(i, offset + length))) return undefined;
  return explained(
    fenced ? 'retpoline: lfence' : 'retpoline: indirect branch',
    direct,
    { what: 'lfence before indirect branches', value: fenced ? 'on' : 'off' },
    ...(isUnsafe ? [its('off')] : []),
  );
}

/** A feature by word and bit, as arch/x86/include/asm/cpufeatures.h writes it: `9*32+18`. */
function featureName({ feature }: AlternativePlace): string {
  return `${feature >> 5}*32+${feature & 31}`;
}

/** What taking this alternative, or not, says about its feature. */
export function alternativeChoice(place: AlternativePlace, taken: boolean): Choice {
  return { what: `feature ${featureName(place)}`, value: taken === place.negated ? 'off' : 'on' };
}

/** apply_alternatives(): one replacement, its leading call or jump moved, then nops. */
function explainAlternative(
  place: AlternativePlace,
  context: Context,
  offset: number,
): Explanation | undefined {
  const { object, run, at } = context;
  const { bytes, relocations } = place.replacement;
  const what = `alternative: ${place.negated ? 'no ' : ''}feature ${featureName(place)}`;
  const choices = [alternativeChoice(place, true)];
  // recompute_jump(): a five-byte jump may have become a short one.
  if (bytes.length === 5 && bytes[0] === JMP && run[offset] === JMP_SHORT) {
    const relocation = relocations[0];
    if (relocation === undefined || !isNopSequence(run.subarray(offset + 2, offset + place.length))) {
      return undefined;
    }
    const displacement = ((run[offset + 1] ?? 0) << 24) >> 24;
    const target = addressAt(at, 2 + displacement);
    const value = addressAt(target, -(relocation.addend + 4));
    return { what, observations: [{ relocation, value, isDatum: false }], choices };
  }
  // Other PC-relative fields are not moved by 6.1, so no kernel code has them.
  const section = { data: bytes, relocations };
  const template = { section, from: 0, to: bytes.length, path: object.path };
  const observations = compareVariant(template, run, offset, place.length, at);
  return observations === undefined ? undefined : { what, observations, choices };
}

/** apply_paravirt(), paravirt_patch(): a direct call of the live operation, or nothing. */
function explainParavirt(place: ParavirtPlace, context: Context, offset: number): Explanation | undefined {
  const { live, run, at } = context;
  const end = offset + place.length;
  let target = live.paravirtFunction(place.type);
  if (target === live.address('_paravirt_nop')) {
    return isNopSequence(run.subarray(offset, end)) ? explained('paravirt: nothing') : undefined;
  }
  if (target === 0n) target = live.required('paravirt_BUG');
  if (run[offset] !== CALL || rel32(run, offset + 1, addressAt(at, 1)) !== target) return undefined;
  return isNopSequence(run.subarray(offset + 5, end)) ? explained('paravirt: direct call') : undefined;
}

/** arch_jump_label_transform(): both positions are legal, the key may be toggled at any time. */
function explainJumpLabel(
  place: JumpLabelPlace,
  { run, at }: Context,
  offset: number,
): Explanation | undefined {
  const short = place.length === 2;
  if (startsWith(run, offset, short ? NOP2 : NOP5)) return explained('jump label: nop');
  if (run[offset] !== (short ? JMP_SHORT : JMP)) return undefined;
  const view = new DataView(run.buffer, run.byteOffset + offset + 1);
  const distance = short ? view.getInt8(0) : view.getInt32(0, true);
  if (place.target.section === place.section) {
    const isOwn = distance === place.target.offset - (place.offset + place.length);
    return isOwn ? explained('jump label: jump') : undefined;
  }
  // Into a cold part, which is a section of its own.
  const { symbol, addend } = place.targetReference;
  const relocation = { offset: 0, type: R_X86_64_PC32, symbol, addend };
  const value = addressAt(at, place.length + distance - addend);
  return {
    what: 'jump label: jump',
    observations: [{ relocation, value, isDatum: true }],
    choices: [],
  };
}

/** __static_call_transform(): what the key's function makes of the site. */
function explainStaticCall(
  place: StaticCallPlace,
  context: Context,
  offset: number,
): Explanation | undefined {
  const { live, run, at } = context;
  const key = live.staticCallKey(context.object.symbols[place.key]?.name ?? '');
  const target = live.pointerAt(key);
  if (place.form === 'jcc') {
    // The kernel keeps the condition.
    const condition = context.object.sections[place.section]?.data[place.offset + 1];
    const isJcc = run[offset] === 0x0f && run[offset + 1] === condition;
    const goes = rel32(run, offset + 2, addressAt(at, 2));
    const nowhere = [live.address('__static_call_return'), live.address('__x86_return_thunk')];
    const legal = target === 0n ? nowhere.includes(goes) : goes === target;
    return isJcc && legal ? explained('static call: conditional') : undefined;
  }
  if (target === 0n && place.tail) {
    const plain = run[offset] === RET && onlyInt3(run, offset + 1, offset + 5);
    const thunk = run[offset] === JMP && rel32(run, offset + 1, addressAt(at, 1)) === live.returnThunk();
    return plain || thunk ? explained('static call: return') : undefined;
  }
  if (target === 0n) return startsWith(run, offset, NOP5) ? explained('static call: nop') : undefined;
  if (!place.tail && target === live.address('__static_call_return0') && startsWith(run, offset, XOR5_EAX)) {
    return explained('static call: returns 0');
  }
  if (run[offset] !== (place.tail ? JMP : CALL)) return undefined;
  return rel32(run, offset + 1, addressAt(at, 1)) === target ? explained('static call: direct') : undefined;
}

/**
 * What the content of a place is, if it is one of the legal ones; `offset` is where it starts in
 * `context.run`. For an alternative, undefined also means that the original instructions may be there.
 */
export function explainPlace(
  place: RewrittenPlace,
  context: Context,
  offset: number,
): Explanation | undefined {
  switch (place.kind) {
    case 'fentry':
      return explainFentry(context, offset);
    case 'return':
      return explainReturn(place, context, offset);
    case 'retpoline':
      return explainRetpoline(place, context, offset);
    case 'alternative':
      return explainAlternative(place, context, offset);
    case 'paravirt':
      return explainParavirt(place, context, offset);
    case 'smp-lock': {
      const byte = context.run[offset];
      if (byte === 0xf0) return explained('lock prefix: kept');
      return byte === 0x3e ? explained('lock prefix: one CPU') : undefined;
    }
    case 'jump-label':
      return explainJumpLabel(place, context, offset);
    case 'static-call':
      return explainStaticCall(place, context, offset);
    case 'static-call-trampoline':
    case 'endbr':
      // Neither lies in text that is matched: trampolines are a section of their own, and a kernel
      // with IBT is refused when the update is made.
      return undefined;
  }
}

const DS_PREFIX = 0x3e;

/**
 * Places that the kernel may rewrite at any time, not only while it boots. `found`: the first byte there.
 *
 * A lock prefix becomes a DS prefix where the kernel booted with one CPU, and a lock prefix again when a
 * second one comes (alternatives_enable_smp()); nothing in 6.1 takes it away once more. So a lock prefix that
 * is there stays, and it is no matter whether it has been there since boot.
 */
export function isMutable(place: RewrittenPlace, found: number | undefined): boolean {
  return (
    place.kind === 'fentry' ||
    place.kind === 'jump-label' ||
    place.kind === 'static-call' ||
    (place.kind === 'smp-lock' && found === DS_PREFIX)
  );
}
