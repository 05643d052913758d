/** Medians and spreads: on a shared machine a single time says little. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  return { min: sorted[0] ?? Number.NaN, median: middle, max: sorted.at(-1) ?? Number.NaN };
}

export function spreadText(values: readonly number[], unit: string, digits = 2): string {
  const { min, median, max } = spreadOf(values);
  const show = (value: number): string => value.toFixed(digits);
  return `median ${show(median)} ${unit} (${show(min)} to ${show(max)}, ${values.length} runs)`;
}
