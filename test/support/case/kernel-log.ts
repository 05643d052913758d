/**
 * What the kernel log says against a case.
 *
 * Loading an unsigned module from outside the kernel's own tree makes the kernel say so, twice; everything
 * else that looks like trouble is trouble, unless the case provokes it and announces it with LOG.
 */

const TROUBLE = [
  /\bWARN(ING)?\b/,
  /\bBUG\b/,
  /\bOops\b/i,
  /\bCall Trace\b/,
  /\bgeneral protection\b/,
  /\bunable to handle\b/,
  /\b(stall|lockup|hung task|blocked for more than)\b/,
  /\btaint/i,
];
/** Words of trouble that tell of none. */
const NOTICES = [
  /RCU CPU stall warnings timeout set to \d+ \(rcu_cpu_stall_timeout\)\.$/,
  /loading out-of-tree module taints kernel\.$/,
  /module verification failed: signature and\/or required key missing - tainting kernel$/,
];
/** Said once in a boot, at any moment, when the machine that emulates was too busy (kernel/time/hrtimer.c). */
export const HELD_UP = 'hrtimer: interrupt took';
const WARNING_BEGINS = /-+\[ cut here \]-+$/;
const WARNING_ENDS = /---\[ end trace [0-9a-f]+ \]---$/;

/** The log in pieces: a warning with its registers and its trace is one piece, any other line is one. */
function pieces(log: string): readonly (readonly string[])[] {
  const all: string[][] = [];
  let open: string[] | undefined;
  for (const line of log.split('\n')) {
    if (open === undefined || WARNING_BEGINS.test(line)) {
      const piece = [line];
      all.push(piece);
      open = WARNING_BEGINS.test(line) ? piece : undefined;
    } else {
      open.push(line);
      if (WARNING_ENDS.test(line)) open = undefined;
    }
  }
  return all;
}

export interface LogVerdict {
  /** Lines that must not be there. */
  readonly trouble: readonly string[];
  /** Announced patterns that no line matches. */
  readonly missing: readonly RegExp[];
}

/** Judges `log`, one case's part of the kernel log; `announced` are the case's LOG patterns. */
export function judgeLog(log: string, announced: readonly RegExp[]): LogVerdict {
  const others = pieces(log).filter((piece) => !announced.some((pattern) => pattern.test(piece.join('\n'))));
  return {
    trouble: others
      .flat()
      .filter((line) => !NOTICES.some((notice) => notice.test(line)))
      .filter((line) => TROUBLE.some((pattern) => pattern.test(line))),
    missing: announced.filter((pattern) => !pattern.test(log)),
  };
}
