/**
 * Two disassemblies of a function side by side: what is the same in both stands in one row, what is not stands beside
 * what took its place.
 *
 * Instructions are compared by what they mean. A branch within the function is the same if it goes to the instruction that is
 * the same, wherever that lies; that is known only when all others are in their rows.
 */
import { diffArrays } from 'diff';
import type { CodeLine } from './code-line.ts';

export type RowMark = 'same' | 'changed' | 'removed' | 'added';

export interface CodeRow {
  readonly mark: RowMark;
  readonly pre: CodeLine | undefined;
  readonly post: CodeLine | undefined;
}

/**
 * Where more differs, both sides stand beside each other as they come, unaligned: finding what belongs
 * together takes time with the square of this (0.4 s here), and an update file may be anybody's.
 */
const MOST_DIFFERENCES = 2500;

/** Puts a run of instructions of either side into rows, the first beside the first. */
function* paired(pre: readonly CodeLine[], post: readonly CodeLine[]): Generator<CodeRow> {
  for (let index = 0; index < Math.max(pre.length, post.length); index += 1) {
    const [left, right] = [pre[index], post[index]];
    if (left !== undefined && right !== undefined) yield { mark: 'changed', pre: left, post: right };
    else yield { mark: left === undefined ? 'added' : 'removed', pre: left, post: right };
  }
}

function* alignedRows(pre: readonly CodeLine[], post: readonly CodeLine[]): Generator<CodeRow> {
  const changes = diffArrays(
    pre.map(({ key }) => key),
    post.map(({ key }) => key),
    { maxEditLength: MOST_DIFFERENCES },
  );
  if (changes === undefined) {
    yield* paired(pre, post);
    return;
  }
  let [left, right] = [0, 0];
  let [gone, come]: [readonly CodeLine[], readonly CodeLine[]] = [[], []];
  for (const { value, added, removed } of changes) {
    const count = value.length;
    if (removed) {
      gone = [...gone, ...pre.slice(left, left + count)];
      left += count;
    } else if (added) {
      come = [...come, ...post.slice(right, right + count)];
      right += count;
    } else {
      yield* paired(gone, come);
      [gone, come] = [[], []];
      for (let index = 0; index < count; index += 1) {
        yield { mark: 'same', pre: pre[left + index], post: post[right + index] };
      }
      left += count;
      right += count;
    }
  }
  yield* paired(gone, come);
}

/** All rows, in order; every instruction of either side is in one. */
export function compareCode(pre: readonly CodeLine[], post: readonly CodeLine[]): readonly CodeRow[] {
  const rows = [...alignedRows(pre, post)];
  const partner = new Map<number, number>();
  for (const row of rows) {
    if (row.pre !== undefined && row.post !== undefined) partner.set(row.pre.offset, row.post.offset);
  }
  return rows.map((row) => {
    const [before, after] = [row.pre?.target, row.post?.target];
    const goesElsewhere = before !== undefined && after !== undefined && partner.get(before) !== after;
    return row.mark === 'same' && goesElsewhere ? { ...row, mark: 'changed' } : row;
  });
}
