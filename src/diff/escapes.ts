/**
 * Which addresses inside the update may be in somebody's hands after an undo. If there are any, the module
 * stays loaded; freeing it on a guess would be a use after free.
 *
 * Existing functions never escape: their addresses in replacement code are those of the originals. New
 * functions and objects escape as soon as their address is taken for anything but a direct call or a load or
 * store. A string escapes too (kmem_cache_create keeps its name), unless the next call in the code is to
 * a function known to be done with its arguments when it returns. That the next call by address is
 * the one that gets the string is a heuristic: where a branch lies between, an unlisted callee might get a
 * string that is credited to a listed one.
 */

import { hex } from '../diagnostics/hex.ts';
import { isDebugDescriptor } from './debug-descriptor.ts';
import type { Escapes } from './replacement.ts';
import { resolveTarget } from './target.ts';
import { type Reference, referencesOf, type Unit, type UnitItem } from './unit.ts';

const transient: readonly RegExp[] = [
  /^_?_?(?:_warn_)?printk(?:_deferred|_ratelimit|_once)?$/,
  /^(?:panic|vprintk|__warn_printk|warn_slowpath_fmt|dump_stack|add_taint)$/,
  /^_?dev_(?:printk|emerg|alert|crit|err|warn|notice|info|dbg)(?:_probe)?$/,
  /^__(?:dynamic_(?:pr_debug|dev_dbg|netdev_dbg|ibdev_dbg))$/,
  /^netdev_(?:printk|emerg|alert|crit|err|warn|notice|info)$/,
  /^(?:__|_)?(?:ext4|btrfs|xfs|nd|fs|inv)_[a-z_]*(?:printk|error|warning|msg|err|warn|info|log|logfc)(?:_[a-z]+)?$/,
  /^__btrfs_(?:abort_transaction|handle_fs_error|panic)$|^skb_panic$/,
  // The name is formatted into memory of their own.
  /^kobject_(?:init_and_add|set_name|add|create_and_add)$|^dev_set_name$|^kthread_create_on_node$/,
  /^v?s[cn]*printf$|^k(?:v?asprintf|strdup|memdup|strndup)(?:_const)?$/,
  /^seq_(?:printf|puts|write|puts_.*|put_.*)$|^sysfs_emit(?:_at)?$/,
  /^(?:str|mem)[a-z]*$|^__?(?:str|mem)[a-z]*$|^match_string$|^sysfs_streq$/,
  /^(?:___ratelimit|__ratelimit|net_ratelimit|__check_object_size|usercopy_abort|copy_overflow|__copy_overflow)$/,
  /^(?:fortify_panic|__stack_chk_fail|__might_sleep|__might_resched|__might_fault|lockdep_rcu_suspicious)$/,
  /^(?:audit_log(?:_[a-z_]*)?|bpf_log|verbose|__trace_[a-z]*|trace_seq_[a-z]*|__request_module|__nla_.*|nla_.*)$/,
  // The number of a shadow field (include/ksplice-shadow.h) is an address that nobody follows.
  /^klp_shadow_[a-z_]+$/,
  /^_?_?copy_(?:to|from)_user$|^sscanf$|^kstrto.*$|^simple_strto.*$/,
];

/** Whether a function is known to keep no pointer to its arguments. */
export function isTransientCallee(name: string): boolean {
  return transient.some((pattern) => pattern.test(name));
}

/** The first function called at or after a place in a function's code. */
function nextCallee(unit: Unit, item: UnitItem, offset: number): string | undefined {
  for (const reference of referencesOf(unit, item)) {
    if (reference.offset <= offset || reference.use !== 'branch') continue;
    const target = resolveTarget(unit, reference);
    if (target.kind === 'external' && !/^__x86_(?:return|indirect)_thunk/.test(target.name))
      return target.name;
    if (target.kind === 'item' && target.item !== item && target.item.kind === 'function') {
      return target.item.name;
    }
    if (target.kind === 'external') return undefined;
  }
  return undefined;
}

/** Collects reasons while relocations are emitted. */
export class EscapeLog {
  readonly #unit: Unit;
  readonly #reasons = new Set<string>();

  constructor(unit: Unit) {
    this.#unit = unit;
  }

  /** The address of a new function is taken. */
  newFunction(from: string, name: string): void {
    this.#reasons.add(`${from}: takes the address of new function ${name}`);
  }

  /** A new or copied object is referred to from code or data. */
  ownObject(from: UnitItem, reference: Reference, object: UnitItem): void {
    // Nobody can use what has no bytes (`struct lock_class_key` without lockdep).
    if (reference.use === 'memory' || object.size === 0) return;
    const constant = object.sectionClass === 'rodata';
    if ((constant || isDebugDescriptor(object)) && this.#isTransient(from, reference)) return;
    this.#reasons.add(
      `${from.name}: takes the address of ${constant ? 'a copy of' : 'new object'} ${object.name}`,
    );
  }

  /** A string or nameless constant is referred to. */
  text(from: UnitItem, reference: Reference, description: string): void {
    if (reference.use === 'memory' || reference.use === 'branch' || this.#isTransient(from, reference))
      return;
    const at = hex(reference.offset - from.start);
    this.#reasons.add(`${from.name}: hands out ${description} at +${at}`);
  }

  finish(): Escapes {
    return { escapes: this.#reasons.size > 0, reasons: [...this.#reasons] };
  }

  #isTransient(from: UnitItem, reference: Reference): boolean {
    // The module loader registers debug descriptors, and takes them out again with the module.
    if (isDebugDescriptor(from)) return true;
    if (from.kind !== 'function') return false;
    const callee = nextCallee(this.#unit, from, reference.offset);
    return callee !== undefined && isTransientCallee(callee);
  }
}
