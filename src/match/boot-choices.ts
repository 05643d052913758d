/**
 * What the kernel chose while it booted, as its code shows.
 *
 * Which alternative it takes depends on the CPU's features, and how returns and indirect branches look
 * depends on mitigations. These are single choices for the whole kernel: code that shows a feature at one
 * place and its absence at another is not what the kernel made of this source. The features themselves are bits
 * in a structure whose layout nothing on the machine tells, so they are learnt from the code, and held
 * against all of it.
 */

/** `feature 3*32+21` is `on`; `returns` are `thunk`. */
export interface Choice {
  readonly what: string;
  readonly value: string;
}

export class BootChoices {
  readonly #known: Map<string, string>;

  constructor(known: ReadonlyMap<string, string> = new Map()) {
    this.#known = new Map(known);
  }

  /** A copy to try something with. */
  fork(): BootChoices {
    return new BootChoices(this.#known);
  }

  agree(choices: readonly Choice[]): boolean {
    return choices.every(({ what, value }) => (this.#known.get(what) ?? value) === value);
  }

  learn(choices: readonly Choice[]): void {
    for (const { what, value } of choices) this.#known.set(what, value);
  }

  /** Everything learnt, by name. */
  get all(): ReadonlyMap<string, string> {
    return this.#known;
  }
}
