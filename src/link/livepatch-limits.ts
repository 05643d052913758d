/**
 * What the kernel's own livepatch cannot do, found before anything is loaded. Each of these would fail later, or not be
 * noticed; the jump engine can do all of them but for functions marked `needs livepatch`.
 */
import { RefusedError } from '../diagnostics/error.ts';
import { hex } from '../diagnostics/hex.ts';
import { STT_FUNC } from '../elf/constants.ts';
import type { ObjectFile } from '../elf/model.ts';
import type { Address } from '../kernel/address.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { classifySection } from '../kernel/tables/classify-section.ts';
import type { HookKind } from '../kernel/tables/hooks.ts';
import { rewrittenPlaces } from '../kernel/tables/rewritten-places.ts';
import type { ExportedSymbol, LinkedSymbol, LivepatchSymbol } from './link-object.ts';
import { isKernelAddress } from './reach.ts';

const JUMP_ENGINE = 'apply it with the jump engine (ksplice apply --engine jump)';

export function refused(message: string, hint = JUMP_ENGINE): RefusedError {
  return new RefusedError('livepatch_refused', `livepatch: ${message}`, { hint });
}

/**
 * Those that have their place in a livepatch transition. There is no stop in it, so nothing can be checked or done inside
 * of one; and nobody is asked whether it may go back.
 */
const POSSIBLE_HOOKS: ReadonlySet<HookKind> = new Set([
  'pre_apply',
  'post_apply',
  'fail_apply',
  'post_reverse',
  'fail_reverse',
]);

export function refuseHooks(hooks: readonly { readonly kind: HookKind; readonly name: string }[]): void {
  const [hook] = hooks.filter(({ kind }) => !POSSIBLE_HOOKS.has(kind));
  if (hook === undefined) return;
  const why =
    hook.kind === 'pre_reverse'
      ? 'may refuse an undo, and livepatch asks nobody'
      : 'is called with all processors stopped, which livepatch never does';
  throw refused(`the hook ${hook.name} (ksplice_${hook.kind}) ${why}`);
}

/** `siteOffset`: bytes of the ftrace entry. */
export function refuseUntraced(path: string, name: string, siteOffset: number): void {
  if (siteOffset > 0) return;
  throw refused(`${path}: ${name} has no ftrace entry, by which livepatch replaces a function`);
}

/**
 * Functions that do not sleep: a task that has called one of them from a cold part is not switched to another task there,
 * unless the kernel is preemptible.
 */
const NEVER_SLEEP = new Set([
  '_printk',
  '__warn_printk',
  '__dynamic_pr_debug',
  '_dev_warn',
  '_dev_err',
  '__stack_chk_fail',
]);
const CALL = 0xe8;

/** Whom the cold parts of a function call, that may sleep. */
function sleepingCalls(pre: ObjectFile, name: string): readonly string[] {
  const parts = pre.symbols.filter(
    (symbol) =>
      symbol.type === STT_FUNC && (symbol.name === `${name}.cold` || symbol.name.startsWith(`${name}.cold.`)),
  );
  return parts.flatMap(({ place, value, size }) => {
    const section = typeof place === 'number' ? pre.sections[place] : undefined;
    if (section === undefined) return [];
    const [start, end] = [Number(value), Number(value) + size];
    return section.relocations
      .filter(({ offset }) => offset > start && offset < end && section.data[offset - 1] === CALL)
      .map(({ symbol }) => pre.symbols[symbol]?.name ?? '?')
      .filter((called) => !NEVER_SLEEP.has(called));
  });
}

export function hasColdPart(pre: ObjectFile, name: string): boolean {
  return pre.symbols.some(
    (symbol) =>
      symbol.type === STT_FUNC && (symbol.name === `${name}.cold` || symbol.name.startsWith(`${name}.cold.`)),
  );
}

/**
 * Whether a task may lose its CPU anywhere in the kernel. With PREEMPT_DYNAMIC the key of a static call tells, which is
 * NULL where it may not (kernel/sched/core.c, sched_dynamic_update()); without, the kernel was built in one of the two ways.
 */
export function isPreemptible(kernel: Kernel, vermagic: string): boolean {
  const [key] = kernel.named(PREEMPTION_KEY);
  if (key === undefined) return / preempt(?:_rt)? /.test(vermagic);
  return kernel.read(key.address, 8).some((byte) => byte !== 0);
}

export const PREEMPTION_KEY = '__SCK__irqentry_exit_cond_resched';

/**
 * Livepatch looks for tasks between start and end of an old function (klp_check_stack_func()), and its cold part lies
 * elsewhere: one that sleeps there counts as out of the way, and goes on in the old function after the switch.
 */
export function refuseSleepingColdPart(pre: ObjectFile, name: string, preemptible: boolean): void {
  const calls = sleepingCalls(pre, name);
  if (calls.length > 0) {
    throw refused(
      `${pre.path}: ${name} has a cold part that calls ${calls.join(', ')}, where a task may sleep unseen by livepatch`,
    );
  }
  if (preemptible && hasColdPart(pre, name)) {
    throw refused(
      `${pre.path}: ${name} has a cold part, in which this preemptible kernel may leave a task unseen by livepatch`,
    );
  }
}

type Resolved = Address | LinkedSymbol | LivepatchSymbol | ExportedSymbol | 'later';

function isOfModule(found: Resolved): boolean {
  if (typeof found === 'bigint') return !isKernelAddress(found);
  return typeof found === 'object' && 'boundWith' in found && found.object !== 'vmlinux';
}

/**
 * References to modules are bound when everything else has been done to the code: keys have been read, alternatives
 * chosen, per-CPU data copied (Documentation/livepatch/module-elf-format.rst).
 */
export function refuseEarlyUse(object: ObjectFile, resolve: (name: string) => Resolved): void {
  const rewritten = rewrittenPlaces(object);
  for (const section of object.sections) {
    const kind = classifySection(section);
    const isEarly = kind === 'table' || kind === 'percpu';
    for (const { offset, symbol } of section.relocations) {
      const { name = '', place } = object.symbols[symbol] ?? {};
      const isRewritten = rewritten.some(
        (each) =>
          each.section === section.index && offset >= each.offset && offset < each.offset + each.length,
      );
      if (place !== 'undefined' || !(isEarly || isRewritten) || kind === 'drop') continue;
      if (!isOfModule(resolve(name))) continue;
      const where = `${object.path}: ${section.name}+${hex(offset)}`;
      throw refused(
        `${where}: ${name} belongs to a module, and would be bound too late for what is made of it`,
      );
    }
  }
}

export function refuseUnsuited(update: {
  readonly id: string;
  readonly on: readonly string[];
  readonly functions: number;
}): void {
  const [below] = update.on;
  if (below !== undefined) {
    throw refused(`${update.id} is on top of ${below}, whose code only the jump engine can replace`);
  }
  if (update.functions === 0)
    throw refused(`${update.id} replaces no function, so there is nothing to switch`);
}
