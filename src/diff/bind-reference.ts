/**
 * What a reference of kept code means in the replacement object.
 *
 * The rule that makes undo possible: direct calls and jumps go to the new copy of a replaced function, every
 * other reference to its start goes to the original. Timers, work items, ops tables and comparisons so hold
 * and see the address that the kernel has always known, which leads to the new code through the trampoline.
 * A reference into the middle of a function (`_THIS_IP_`, a fixup) means the very code it stands in: the copy.
 */
import { RefusedError } from '../diagnostics/error.ts';
import { isLoadableRelocation, relocationName, STB_WEAK } from '../elf/constants.ts';
import type { Comparison } from './compare-items.ts';
import { EscapeLog } from './escapes.ts';
import { ImageDraft } from './image-draft.ts';
import { pieceKey } from './kept-set.ts';
import type { KeptLayout } from './layout-kept.ts';
import type { RelocationPlace, ReplacementReference } from './replacement.ts';
import { type Piece, resolveTarget, targetText } from './target.ts';
import type { Reference, UnitItem } from './unit.ts';

/** Symbol and distance from it: what a relocation needs. */
export interface Binding {
  readonly symbol: number;
  readonly offset: number;
  readonly isUndefined: boolean;
}

/** Where a reference stands: a table's own fields name the copy and let nothing escape. */
export type ReferenceRole = 'contents' | 'table-code' | 'table-reference';

export class Binder {
  readonly #comparison: Comparison;
  readonly #draft: ImageDraft;
  readonly #layout: KeptLayout;
  readonly #undefined = new Map<string, number>();
  readonly references: ReplacementReference[] = [];
  readonly directBranches: RelocationPlace[] = [];
  readonly escapes: EscapeLog;
  readonly addressesTaken = new Map<string, string>();

  constructor(comparison: Comparison, draft: ImageDraft, layout: KeptLayout) {
    this.#comparison = comparison;
    this.#draft = draft;
    this.#layout = layout;
    this.escapes = new EscapeLog(comparison.post.unit);
  }

  /**
   * Adds the relocation for a reference.
   * @param from the kept item in whose code or entries the reference stands
   * @param at where its field lies in the draft
   */
  emit(from: UnitItem, reference: Reference, at: RelocationPlace, role: ReferenceRole): void {
    const binding = this.#bind(from, reference, role);
    this.#checkType(from, reference);
    this.#draft.addRelocation(at.section, {
      offset: at.offset,
      type: reference.type,
      symbol: binding.symbol,
      addend: binding.offset - reference.trailing,
    });
    if (binding.isUndefined && reference.use === 'branch') this.directBranches.push(at);
  }

  /** Adds the relocation for a field that names a piece which its table has cut out. */
  emitPiece(reference: Reference, at: RelocationPlace, piece: Piece): void {
    const { symbol, offset } = this.#piece(piece, 0);
    this.#draft.addRelocation(at.section, {
      offset: at.offset,
      type: reference.type,
      symbol,
      addend: offset,
    });
  }

  /** The module loader knows these types only, and a short jump cannot leave its section. */
  #checkType(from: UnitItem, reference: Reference): void {
    if (isLoadableRelocation(reference.type)) return;
    const { unit } = this.#comparison.post;
    const target = targetText(resolveTarget(unit, reference));
    throw new RefusedError(
      'refused',
      `${unit.object.path}: ${from.name}: ${relocationName(reference.type)} to ${target} is nothing that a module can have`,
    );
  }

  #bind(from: UnitItem, reference: Reference, role: ReferenceRole): Binding {
    const target = resolveTarget(this.#comparison.post.unit, reference);
    if (target.kind === 'external') {
      const isAddress = reference.use !== 'branch' && reference.use !== 'memory' && role === 'contents';
      if (isAddress) this.addressesTaken.set(target.name, from.name);
      return this.#external(reference, target.name, target.offset);
    }
    if (target.kind === 'item') return this.#item(from, reference, role, target.item, target.offset);
    if (role === 'contents' && target.piece.kind !== 'code') {
      this.escapes.text(from, reference, targetText(target));
    }
    return this.#piece(target.piece, target.offset);
  }

  #external(reference: Reference, name: string, offset: number): Binding {
    const { object } = this.#comparison.post.unit;
    const symbol = reference.to.kind === 'external' ? object.symbols[reference.to.symbol] : undefined;
    const weak = symbol?.binding === STB_WEAK;
    return { symbol: this.#undefinedGlobal(name, weak), offset, isUndefined: true };
  }

  #item(from: UnitItem, reference: Reference, role: ReferenceRole, item: UnitItem, offset: number): Binding {
    const placed = this.#layout.items.get(item);
    const partner = this.#comparison.correlation.preOf.get(item);
    if (placed === undefined) return { symbol: this.#existing(partner, item), offset, isUndefined: true };

    const own: Binding = { symbol: placed.symbol, offset, isUndefined: false };
    if (item.kind === 'object') {
      if (role === 'contents') this.escapes.ownObject(from, reference, item);
      return own;
    }
    const isAddress = reference.use !== 'branch' && offset === 0 && role !== 'table-code';
    if (!isAddress) return own;
    if (partner !== undefined) return { symbol: this.#existing(partner, item), offset, isUndefined: true };
    if (role === 'contents') this.escapes.newFunction(from.name, item.name);
    return own;
  }

  #piece(piece: Piece, offset: number): Binding {
    const placed = this.#layout.pieces.get(pieceKey(piece));
    if (placed === undefined) {
      throw new RangeError(`${piece.section.name}+${piece.start} was not kept`);
    }
    return {
      symbol: this.#draft.sectionSymbol(placed.section),
      offset: placed.offset + offset,
      isUndefined: false,
    };
  }

  #undefinedGlobal(name: string, weak: boolean): number {
    const known = this.#undefined.get(`global ${name}`);
    if (known !== undefined) return known;
    const position = this.#draft.addUndefined(name, weak);
    this.#undefined.set(`global ${name}`, position);
    this.references.push({
      symbol: name,
      preName: name,
      position,
      scope: 'global',
      kind: 'unknown',
      weak,
      pre: undefined,
    });
    return position;
  }

  /** The undefined symbol for something of this unit that the kernel has already. */
  #existing(pre: UnitItem | undefined, post: UnitItem): number {
    if (pre === undefined) {
      const { path } = this.#comparison.post.unit.object;
      throw new RefusedError('refused', `${path}: ${post.name} is neither in the kernel nor in the update`);
    }
    const key = `${pre.scope} ${pre.name}`;
    const known = this.#undefined.get(key);
    if (known !== undefined) return known;
    const position = this.#draft.addUndefined(pre.name, false);
    this.#undefined.set(key, position);
    this.references.push({
      symbol: pre.name,
      preName: pre.name,
      position,
      scope: pre.scope,
      kind: pre.kind,
      weak: false,
      pre: {
        name: pre.name,
        base: pre.base,
        sectionName: pre.section.name,
        offset: pre.entry,
        size: pre.size,
        owners: [...(this.#comparison.pre.users.get(pre) ?? [])].sort(),
      },
    });
    return position;
  }
}
