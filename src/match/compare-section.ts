/**
 * Compares one text section of a unit, compiled plainly, with the kernel's memory at a base.
 *
 * A linker keeps an input section whole. So at the right base every byte is equal, but for relocated
 * fields, which tell symbol values, and the places that the section's tables name, which may hold one
 * of their legal contents (explain-place.ts). Places can be nested: an alternative may contain a
 * paravirt call, and where the alternative was not taken, the call was rewritten inside it. So the
 * outermost place is tried first, and if none of its own contents is there, the original instructions
 * are compared with the inner places in them.
 */
import type { ObjectFile, Section } from '../elf/model.ts';
import { type Address, addressAt } from '../kernel/address.ts';
import type { RewrittenPlace } from '../kernel/tables/rewritten-place.ts';
import type { BootChoices, Choice } from './boot-choices.ts';
import { alternativeChoice, type Explanation, explainPlace, isMutable } from './explain-place.ts';
import type { LiveValues } from './live-values.ts';
import type { TextPatch } from './text-patch.ts';
import { compareTemplate, compareVariant, type Observation } from './variant.ts';

export interface SectionMatch {
  readonly kind: 'match';
  readonly observations: readonly Observation[];
  /** How many places had which content. */
  readonly explained: ReadonlyMap<string, number>;
  readonly run: Uint8Array;
  /** 0xff where a byte stays as it is, 0 where the kernel may rewrite it at any time. */
  readonly mask: Uint8Array;
  /** Those that were known, and what this section shows. */
  readonly choices: BootChoices;
}

/** There is no memory where the section would be. */
export interface UnmappedSection {
  readonly kind: 'unmapped';
}

export interface SectionDifference {
  readonly kind: 'difference';
  /** Offset in the section. */
  readonly offset: number;
  readonly place: RewrittenPlace | undefined;
}

/** Places of one section, outermost first where they start together. */
export function placesOfSection(
  places: readonly RewrittenPlace[],
  section: Section,
): readonly RewrittenPlace[] {
  return places
    .filter((place) => place.section === section.index)
    .sort((a, b) => a.offset - b.offset || b.length - a.length);
}

/**
 * Whether what a reference shows may be right, by what is known so far. `call a` and `call b`, the original
 * and its alternative, differ in nothing else.
 */
export type Plausible = (observation: Observation) => boolean;

function notTaken(places: readonly RewrittenPlace[]): readonly Choice[] {
  return places.flatMap((place) => (place.kind === 'alternative' ? [alternativeChoice(place, false)] : []));
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/** Collects what one comparison finds. */
class Comparison {
  readonly observations: Observation[] = [];
  readonly explained = new Map<string, number>();
  readonly mask: Uint8Array;
  difference: SectionDifference | undefined;
  readonly #object: ObjectFile;
  readonly #section: Section;
  readonly #base: Address;
  readonly #run: Uint8Array;
  readonly #live: LiveValues;
  readonly choices: BootChoices;
  /** Those in this section, by address. */
  readonly #patches: readonly TextPatch[];
  readonly #isPlausible: Plausible;

  constructor(
    object: ObjectFile,
    section: Section,
    base: Address,
    run: Uint8Array,
    live: LiveValues,
    choices: BootChoices,
    patches: readonly TextPatch[],
    isPlausible: Plausible,
  ) {
    this.#object = object;
    this.#section = section;
    this.#base = base;
    this.#run = run;
    this.#live = live;
    this.choices = choices;
    this.#patches = patches;
    this.#isPlausible = isPlausible;
    this.mask = new Uint8Array(section.size).fill(0xff);
  }

  /** The span's bytes with these places in it; true if all is equal or explained. */
  span({ from, to }: Span, places: readonly RewrittenPlace[]): boolean {
    let at = from;
    let next = 0;
    while (next < places.length) {
      const outer = places[next];
      if (outer === undefined) break;
      if (!this.#plain({ from: at, to: outer.offset })) return false;
      const end = outer.offset + outer.length;
      let after = next + 1;
      while ((places[after]?.offset ?? end) < end) after += 1;
      if (!this.#place(outer, places.slice(next, after))) return false;
      at = end;
      next = after;
    }
    return this.#plain({ from: at, to });
  }

  #template({ from, to }: Span): {
    bytes: Uint8Array;
    relocations: Section['relocations'];
    path: string;
  } {
    const relocations = this.#section.relocations
      .filter((each) => each.offset >= from && each.offset < to)
      .map((each) => ({ ...each, offset: each.offset - from }));
    return { bytes: this.#section.data.subarray(from, to), relocations, path: this.#object.path };
  }

  /** Fixed code, but for what somebody has patched in it. */
  #plain({ from, to }: Span): boolean {
    let at = from;
    for (const patch of this.#patches) {
      const start = Number(patch.at - this.#base);
      const end = start + patch.size;
      if (start < at || end > to) continue;
      if (!patch.isLegal(this.#run.subarray(start, end))) continue;
      if (!this.#fixed({ from: at, to: start })) return false;
      this.#count(patch.owner, 1);
      this.mask.fill(0, start, end);
      at = end;
    }
    return this.#fixed({ from: at, to });
  }

  #fixed(span: Span): boolean {
    if (span.from === span.to) return true;
    const compared = compareTemplate(
      this.#template(span),
      this.#run,
      span.from,
      addressAt(this.#base, span.from),
    );
    if ('differsAt' in compared) {
      this.difference ??= { kind: 'difference', offset: span.from + compared.differsAt, place: undefined };
      return false;
    }
    this.observations.push(...compared);
    return true;
  }

  /** `group`: the place and all that start inside it. */
  #place(outer: RewrittenPlace, group: readonly RewrittenPlace[]): boolean {
    const context = {
      object: this.#object,
      live: this.#live,
      run: this.#run,
      at: addressAt(this.#base, outer.offset),
      nameOf: (symbol: number): string => this.#object.symbols[symbol]?.name ?? '',
    };
    const same = group.filter((each) => each.offset === outer.offset && each.length === outer.length);
    const contents = same.flatMap((place, i) => {
      const found = explainPlace(place, context, outer.offset);
      if (found?.observations.every(this.#isPlausible) !== true) return [];
      return [{ ...found, choices: [...found.choices, ...notTaken(same.slice(i + 1))] }];
    });
    const inner = group.filter((each) => !same.includes(each) || each.kind !== 'alternative');
    const isOptional = same.every((each) => each.kind === 'alternative');
    const original = isOptional ? this.#original(outer, inner, notTaken(same)) : undefined;
    const all = original === undefined ? contents : [...contents, original];
    // Where two alternatives are the same bytes, the code does not tell which of them it is.
    const [found, second] = all.filter(({ choices }) => this.choices.agree(choices));
    if (found === undefined) {
      this.difference ??= { kind: 'difference', offset: outer.offset, place: outer };
      return false;
    }
    if (all.length === 1 && second === undefined) this.choices.learn(found.choices);
    if (found === original && original.inside !== undefined) this.#take(original.inside);
    else this.#accept(outer, found);
    return true;
  }

  /** The alternative was not taken: its own instructions, with longer nops and inner places. */
  #original(
    outer: RewrittenPlace,
    inner: readonly RewrittenPlace[],
    choices: readonly Choice[],
  ): (Explanation & { readonly inside: Comparison | undefined }) | undefined {
    const what = 'alternative: original';
    const span = { from: outer.offset, to: outer.offset + outer.length };
    if (inner.length > 0) {
      const inside = new Comparison(
        this.#object,
        this.#section,
        this.#base,
        this.#run,
        this.#live,
        this.choices.fork(),
        this.#patches,
        this.#isPlausible,
      );
      return inside.span(span, inner) ? { what, observations: [], choices, inside } : undefined;
    }
    const at = addressAt(this.#base, outer.offset);
    const observations = compareVariant(this.#template(span), this.#run, outer.offset, outer.length, at);
    if (observations?.every(this.#isPlausible) !== true) return undefined;
    return { what, observations, choices, inside: undefined };
  }

  /** What a comparison of a part of the section has found. */
  #take(part: Comparison): void {
    this.observations.push(...part.observations);
    for (const [what, count] of part.explained) this.#count(what, count);
    part.mask.forEach((byte, i) => {
      if (byte === 0) this.mask[i] = 0;
    });
    this.choices.learn([...part.choices.all].map(([what, value]) => ({ what, value })));
  }

  #count(what: string, count: number): void {
    this.explained.set(what, (this.explained.get(what) ?? 0) + count);
  }

  #accept(place: RewrittenPlace, found: Explanation): void {
    this.observations.push(...found.observations);
    this.#count(found.what, 1);
    if (isMutable(place, this.#run[place.offset])) {
      this.mask.fill(0, place.offset, place.offset + place.length);
    }
  }
}

/** Reads the kernel's memory once and compares; the caller reads again before it believes a difference. */
export function compareSection(
  object: ObjectFile,
  section: Section,
  places: readonly RewrittenPlace[],
  base: Address,
  live: LiveValues,
  choices: BootChoices,
  patches: readonly TextPatch[],
  isPlausible: Plausible,
): SectionMatch | SectionDifference | UnmappedSection {
  const run = live.readIfMapped(base, section.size);
  if (run === undefined) return { kind: 'unmapped' };
  const mine = patches
    .filter(({ at, size }) => at >= base && at + BigInt(size) <= base + BigInt(section.size))
    .toSorted((a, b) => (a.at < b.at ? -1 : 1));
  const comparison = new Comparison(object, section, base, run, live, choices.fork(), mine, isPlausible);
  // At rest nothing has been rewritten yet: every place is as objtool left it.
  const rewritten = live.isRunning ? placesOfSection(places, section) : [];
  if (comparison.span({ from: 0, to: section.size }, rewritten)) {
    const { observations, explained, mask } = comparison;
    return { kind: 'match', observations, explained, run, mask, choices: comparison.choices };
  }
  return comparison.difference ?? { kind: 'difference', offset: 0, place: undefined };
}
