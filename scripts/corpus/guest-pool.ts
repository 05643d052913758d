/**
 * Guests that many updates share, one at a time in each: to boot one takes as long as an update does.
 *
 * A guest that has had its number of updates is replaced, and so is one that cannot be trusted any more: it died, or
 * something was left in it, and the next update must not be blamed for that.
 */

export interface Closable {
  close(): Promise<void>;
}

/** What was found out in a guest, and whether the guest is as good as before. */
export interface GuestUse<R> {
  readonly result: R;
  readonly isFit: boolean;
}

interface Used<G> {
  readonly guest: G;
  readonly uses: number;
}

export class GuestPool<G extends Closable> {
  readonly #boot: () => Promise<G>;
  readonly #most: number;
  readonly #idle: Used<G>[] = [];
  /** All that are up, idle or not. */
  readonly #up = new Set<G>();
  #isClosed = false;

  /** `most`: uses of one guest. As many guests are up as `use` is called at once. */
  constructor(boot: () => Promise<G>, most: number) {
    this.#boot = boot;
    this.#most = most;
  }

  /** Throws what `boot` or `action` throws; the guest is not used again then. */
  async use<R>(action: (guest: G) => Promise<GuestUse<R>>): Promise<R> {
    const { guest, uses } = this.#idle.pop() ?? { guest: await this.#bootOne(), uses: 0 };
    let isFit = false;
    try {
      const use = await action(guest);
      isFit = use.isFit && uses + 1 < this.#most;
      return use.result;
    } finally {
      if (isFit && !this.#isClosed) this.#idle.push({ guest, uses: uses + 1 });
      else await this.#closeOne(guest);
    }
  }

  /** Ends all guests, those that are in use too; to be used no more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#idle.length = 0;
    await Promise.all([...this.#up].map(async (guest) => await this.#closeOne(guest)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #bootOne(): Promise<G> {
    const guest = await this.#boot();
    this.#up.add(guest);
    // Closed while it booted.
    if (this.#isClosed) await this.#closeOne(guest);
    return guest;
  }

  async #closeOne(guest: G): Promise<void> {
    this.#up.delete(guest);
    await guest.close();
  }
}
