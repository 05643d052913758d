function at(row: readonly number[] | undefined, column: number): number {
  return row?.[column] ?? 0;
}

/**
 * The coefficients c for which rows · c is nearest to values (normal equations, solved by elimination).
 * Throws if the rows do not decide them: fewer of them than columns, or columns that go together.
 */
export function leastSquares(
  rows: readonly (readonly number[])[],
  values: readonly number[],
): readonly number[] {
  const width = rows[0]?.length ?? 0;
  // [ AᵀA | Aᵀy ]
  const system = Array.from({ length: width }, (_, i) =>
    Array.from({ length: width + 1 }, (_, j) =>
      rows.reduce((sum, row, n) => sum + at(row, i) * (j === width ? (values[n] ?? 0) : at(row, j)), 0),
    ),
  );
  const scale = system.map((row, i) => at(row, i));
  for (let pivot = 0; pivot < width; pivot += 1) {
    const divisor = at(system[pivot], pivot);
    if (Math.abs(divisor) <= 1e-9 * (scale[pivot] ?? 0)) {
      throw new Error(`column ${pivot} is not decided by ${rows.length} measures`);
    }
    for (let other = 0; other < width; other += 1) {
      if (other === pivot) continue;
      const factor = at(system[other], pivot) / divisor;
      system[other] = (system[other] ?? []).map(
        (value, column) => value - factor * at(system[pivot], column),
      );
    }
  }
  return system.map((row, i) => at(row, width) / at(row, i));
}
