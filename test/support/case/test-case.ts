/** What a folder of test/cases says, as data. The directives are explained in test/cases/README.md. */

/** A line that must stand in the output exactly, or a pattern that must match somewhere in it. */
export type Expectation =
  | { readonly kind: 'line'; readonly text: string }
  | { readonly kind: 'pattern'; readonly pattern: RegExp };

/** How the tool says no: exit status, `code` of the JSON error, codes of the reasons in it, what its message holds. */
export interface Refusal {
  readonly code: string;
  /** Sorted, each once; none where no change of code is to blame. */
  readonly reasons: readonly string[];
  readonly exitCode: number;
  readonly says: readonly RegExp[];
}

/** Something in the guest that makes apply or undo refuse for as long as it is there. */
export interface Obstacle {
  readonly at: 'apply' | 'undo';
  readonly refusal: Refusal;
  /** Shell scripts: put it in the way, look at the report (in $REPORT) and the guest, take it away. */
  readonly start: string;
  readonly check: string;
  readonly stop: string;
}

export interface TestCase {
  /** Name of the folder, and of the test. */
  readonly name: string;
  /** The case file; errors name it. */
  readonly file: string;
  readonly about: string;
  /** A patch file beside the case, or the path of a source whose change in Debian's next release is the patch. */
  readonly patch: { readonly kind: 'file' | 'debian'; readonly path: string };
  /** `create` refuses the patch: there is nothing to run in a guest. */
  readonly createRefusal: Refusal | undefined;
  /** Names of the kernel's modules that lie in the guest as /root/modules/NAME.ko. */
  readonly modules: readonly string[];
  readonly setup: string;
  readonly trigger: string;
  readonly before: readonly Expectation[];
  readonly after: readonly Expectation[];
  readonly cleanup: string;
  /** Commands that run in the background from before apply to after undo. */
  readonly during: readonly string[];
  readonly obstacles: readonly Obstacle[];
  /** Names of the replaced functions, in any order; undefined if the case does not say. */
  readonly functions: readonly string[] | undefined;
  readonly newFunctions: readonly string[] | undefined;
  /** The module stays loaded after undo. */
  readonly resident: boolean;
  /** Applied and undone a second time. */
  readonly twice: boolean;
  /** Lines that the kernel log has to hold; they and what belongs to them are not held against the case. */
  readonly log: readonly RegExp[];
  /** For each command in the guest. */
  readonly timeoutMs: number;
}
