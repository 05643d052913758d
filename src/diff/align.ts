/**
 * Longest common subsequence of two token lists, as pairs of positions: which reference of the changed
 * function is which of the original. Ties go to the earliest pairing.
 *
 * Common heads and tails are taken first, so that the quadratic part sees the changed middle only.
 */
export function align(
  left: readonly string[],
  right: readonly string[],
): readonly (readonly [number, number])[] {
  const pairs: [number, number][] = [];
  let head = 0;
  while (head < left.length && head < right.length && left[head] === right[head]) {
    pairs.push([head, head]);
    head += 1;
  }
  let leftEnd = left.length;
  let rightEnd = right.length;
  const tail: [number, number][] = [];
  while (leftEnd > head && rightEnd > head && left[leftEnd - 1] === right[rightEnd - 1]) {
    leftEnd -= 1;
    rightEnd -= 1;
    tail.push([leftEnd, rightEnd]);
  }

  const rows = leftEnd - head;
  const columns = rightEnd - head;
  // lengths[i * (columns + 1) + j]: longest common subsequence of what follows i and j.
  const lengths = new Uint32Array((rows + 1) * (columns + 1));
  const at = (i: number, j: number): number => lengths[i * (columns + 1) + j] ?? 0;
  for (let i = rows - 1; i >= 0; i -= 1) {
    for (let j = columns - 1; j >= 0; j -= 1) {
      const same = left[head + i] === right[head + j];
      lengths[i * (columns + 1) + j] = same ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  for (let i = 0, j = 0; i < rows && j < columns; ) {
    if (left[head + i] === right[head + j]) {
      pairs.push([head + i, head + j]);
      i += 1;
      j += 1;
    } else if (at(i + 1, j) >= at(i, j + 1)) i += 1;
    else j += 1;
  }
  return [...pairs, ...tail.toReversed()];
}
