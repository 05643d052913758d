/**
 * Compares one text section of a unit with the kernel's code at a base.
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
import type { CodeLayout } from './code-layout.ts';
import { alternativeChoice, type Explanation, explainPlace, isMutable } from './explain-place.ts';
import type { LiveValues } from './live-values.ts';
import type { TextPatch } from './text-patch.ts';
import { compareTemplate, compareVariant, type Observation, type Template } from './variant.ts';

/** The kernel's code where a section may lie. */
export interface RunCode {
  readonly base: Address;
  /** What is in memory there. */
  readonly memory: Uint8Array;
  /** The same as it would be if it were laid out as the unit is: as many bytes as the section has. */
  readonly bytes: Uint8Array;
  /** How many of these can be compared; behind them the kernel has something that is laid out in no way alike. */
  readonly comparable: number;
  /** Where offsets of `bytes` lie in `memory`. */
  readonly layout: CodeLayout;
  /** What others have written to it, at their place in `bytes`, by address. */
  readonly patches: readonly TextPatch[];
}

export interface CompareContext {
  readonly object: ObjectFile;
  readonly section: Section;
  /** Of this section, by offset, outermost first; none in a kernel that has not rewritten anything yet. */
  readonly places: readonly RewrittenPlace[];
  readonly live: LiveValues;
  /** What other sections have shown. */
  readonly choices: BootChoices;
  /**
   * Whether what a reference shows may be right, by what is known so far. `call a` and `call b`, the original
   * and its alternative, differ in nothing else.
   */
  readonly isPlausible: (observation: Observation) => boolean;
}

export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface SectionMatch {
  readonly kind: 'match';
  readonly observations: readonly Observation[];
  /** How many places had which content. */
  readonly explained: ReadonlyMap<string, number>;
  /** Where the kernel may rewrite bytes at any time; offsets in the section. */
  readonly mutable: readonly Span[];
  /** Those that were known, and what this section shows. */
  readonly choices: BootChoices;
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

function notTaken(places: readonly RewrittenPlace[]): readonly Choice[] {
  return places.flatMap((place) => (place.kind === 'alternative' ? [alternativeChoice(place, false)] : []));
}

/** The original instructions of an alternative; `inside`: what was found in them, where there are places. */
interface Original extends Explanation {
  readonly inside: Comparison | undefined;
}

/** Collects what one comparison finds. */
class Comparison {
  readonly observations: Observation[] = [];
  readonly explained = new Map<string, number>();
  /** Spans that the kernel may rewrite at any time. */
  readonly mutable: Span[] = [];
  /** What was learnt here, besides what was known. */
  readonly learnt: Choice[] = [];
  difference: SectionDifference | undefined;
  readonly #code: RunCode;
  readonly #context: CompareContext;
  readonly #choices: BootChoices;

  constructor(code: RunCode, context: CompareContext, choices: BootChoices) {
    this.#code = code;
    this.#context = context;
    this.#choices = choices;
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

  #template({ from, to }: Span): Template {
    const { section, object } = this.#context;
    return { section, from, to, path: object.path };
  }

  /** Fixed code, but for what somebody has patched in it. */
  #plain({ from, to }: Span): boolean {
    const { base, bytes, patches } = this.#code;
    let at = from;
    for (const patch of patches) {
      const start = Number(patch.at - base);
      const end = start + patch.size;
      if (start < at || end > to) continue;
      if (!patch.isLegal(bytes.subarray(start, end))) continue;
      if (!this.#fixed({ from: at, to: start })) return false;
      this.#count(patch.owner, 1);
      this.mutable.push({ from: start, to: end });
      at = end;
    }
    return this.#fixed({ from: at, to });
  }

  #fixed(span: Span): boolean {
    if (span.from === span.to) return true;
    const { base, bytes } = this.#code;
    const compared = compareTemplate(this.#template(span), bytes, span.from, addressAt(base, span.from));
    if ('differsAt' in compared) {
      this.difference ??= { kind: 'difference', offset: span.from + compared.differsAt, place: undefined };
      return false;
    }
    this.observations.push(...compared);
    return true;
  }

  /** `group`: the place and all that start inside it. */
  #place(outer: RewrittenPlace, group: readonly RewrittenPlace[]): boolean {
    const { object, live, isPlausible } = this.#context;
    const { base, bytes, layout } = this.#code;
    const context = {
      object,
      live,
      run: bytes,
      at: addressAt(base, outer.offset),
      inMemory: addressAt(base, layout.toRun(outer.offset)),
    };
    const same = group.filter((each) => each.offset === outer.offset && each.length === outer.length);
    const contents = same.flatMap((place, i) => {
      const found = explainPlace(place, context, outer.offset);
      if (found?.observations.every(isPlausible) !== true) return [];
      return [{ ...found, choices: [...found.choices, ...notTaken(same.slice(i + 1))] }];
    });
    const inner = group.filter((each) => !same.includes(each) || each.kind !== 'alternative');
    const isOptional = same.every((each) => each.kind === 'alternative');
    const original = isOptional ? this.#original(outer, inner, notTaken(same)) : undefined;
    const all: readonly (Explanation | Original)[] =
      original === undefined ? contents : [...contents, original];
    // Where two alternatives are the same bytes, the code does not tell which of them it is.
    const found = all.find(({ choices }) => this.#choices.agree(choices));
    if (found === undefined) {
      this.difference ??= { kind: 'difference', offset: outer.offset, place: outer };
      return false;
    }
    if (all.length === 1) this.#learn(found.choices);
    if (found === original && original.inside !== undefined) this.#take(original.inside);
    else this.#accept(outer, { ...found, what: this.#ownerAt(outer) ?? found.what });
    return true;
  }

  /** Whose a function's entry is, besides ftrace's. */
  #ownerAt({ kind, offset }: RewrittenPlace): string | undefined {
    const at = addressAt(this.#code.base, offset);
    const patch =
      kind === 'fentry'
        ? this.#code.patches.find((each) => each.kind === 'livepatch' && each.at === at)
        : undefined;
    return patch === undefined ? undefined : `fentry: ${patch.owner}`;
  }

  /** The alternative was not taken: its own instructions, with longer nops and inner places. */
  #original(
    outer: RewrittenPlace,
    inner: readonly RewrittenPlace[],
    choices: readonly Choice[],
  ): Original | undefined {
    const what = 'alternative: original';
    const span = { from: outer.offset, to: outer.offset + outer.length };
    if (inner.length > 0) {
      const inside = new Comparison(this.#code, this.#context, this.#choices.fork());
      return inside.span(span, inner) ? { what, observations: [], choices, inside } : undefined;
    }
    const { base, bytes } = this.#code;
    const at = addressAt(base, outer.offset);
    const observations = compareVariant(this.#template(span), bytes, outer.offset, outer.length, at);
    if (observations?.every(this.#context.isPlausible) !== true) return undefined;
    return { what, observations, choices, inside: undefined };
  }

  /** What a comparison of a part of the section has found. */
  #take(part: Comparison): void {
    this.observations.push(...part.observations);
    for (const [what, count] of part.explained) this.#count(what, count);
    this.mutable.push(...part.mutable);
    this.#learn(part.learnt);
  }

  #learn(choices: readonly Choice[]): void {
    this.#choices.learn(choices);
    this.learnt.push(...choices);
  }

  #count(what: string, count: number): void {
    this.explained.set(what, (this.explained.get(what) ?? 0) + count);
  }

  #accept(place: RewrittenPlace, found: Explanation): void {
    this.observations.push(...found.observations);
    this.#count(found.what, 1);
    if (isMutable(place, this.#code.bytes[place.offset])) {
      this.mutable.push({ from: place.offset, to: place.offset + place.length });
    }
  }
}

/** Compares code that was read once; the caller reads again before it believes a difference. */
export function compareSection(code: RunCode, context: CompareContext): SectionMatch | SectionDifference {
  const { section, places } = context;
  const choices = context.choices.fork();
  const comparison = new Comparison(code, context, choices);
  if (!comparison.span({ from: 0, to: section.size }, places)) {
    return comparison.difference ?? { kind: 'difference', offset: 0, place: undefined };
  }
  if (code.comparable < section.size) {
    return { kind: 'difference', offset: code.comparable, place: undefined };
  }
  const { observations, explained, mutable } = comparison;
  return { kind: 'match', observations, explained, mutable, choices };
}
