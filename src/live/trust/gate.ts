/**
 * What stands before every update: is it one that this machine may take, by its signature? Asked of all updates of a
 * command before anything is done for the first.
 */
import type { KernelIdentity } from '../../update/kernel-identity.ts';
import type { Update } from '../../update/update.ts';
import { enforce, judge, type SignatureVerdict } from './judge.ts';
import {
  readSignedRecords,
  recordOf,
  type SignedRecord,
  type StagedRecords,
  stageSignedRecords,
} from './signed-records.ts';
import { readTrust, type Trust, trustPaths } from './trust.ts';

type Judged = Pick<Update, 'id' | 'digest' | 'signature'>;

export class SignatureGate {
  readonly #root: string;
  readonly #trust: Trust;
  readonly #records: readonly SignedRecord[];
  readonly #identity: KernelIdentity | undefined;

  /**
   * `identity`: the kernel that updates are applied to; undefined where that is none of this machine's, and what was
   * applied here says nothing. Throws what `readTrust` and `readSignedRecords` throw.
   */
  constructor(identity: KernelIdentity | undefined, root = '/') {
    this.#root = root;
    this.#identity = identity;
    this.#trust = readTrust(trustPaths(root));
    this.#records = this.#trust.mode === 'off' || identity === undefined ? [] : readSignedRecords(root);
  }

  /** Throws RefusedError if the policy does not let it pass; what it lets pass unwillingly goes to `warn`. */
  admit(update: Judged, warn: (text: string) => void): SignatureVerdict {
    const before =
      this.#identity === undefined ? undefined : recordOf(this.#records, update.id, this.#identity);
    const judgement = judge(update, this.#trust, before);
    enforce(judgement, this.#trust, warn);
    return judgement.verdict;
  }

  /** Prepares to remember those of the updates that a trusted key has signed; to be committed when they are applied. */
  stage(updates: readonly Judged[]): StagedRecords | undefined {
    const identity = this.#identity;
    if (identity === undefined) return undefined;
    const trusted = updates.filter((update) => {
      const before = recordOf(this.#records, update.id, identity);
      return judge(update, this.#trust, before).verdict.standing === 'trusted';
    });
    return trusted.length === 0 ? undefined : stageSignedRecords(this.#root, trusted, identity);
  }
}
