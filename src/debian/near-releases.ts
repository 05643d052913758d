/** How many a hint names. */
const COUNT = 5;

/**
 * The known releases that somebody who typed `wanted` may have meant: of the same flavour (`cloud-amd64`) if there
 * are such, those with the nearest numbers, in ascending order. A help for the reader; nothing else depends on it.
 */
export function nearReleases(wanted: string, known: readonly string[]): readonly string[] {
  const bootable = [...new Set(known)].filter((release) => !/-(?:dbg|unsigned)$/.test(release));
  const target = split(wanted);
  const sameFlavour = bootable.filter((release) => split(release).flavour === target.flavour);
  const candidates = sameFlavour.length > 0 ? sameFlavour : bootable;
  return candidates
    .toSorted((a, b) => compareNumbers(distance(a, target), distance(b, target)) || (a < b ? -1 : 1))
    .slice(0, COUNT)
    .sort((a, b) => compareNumbers(split(a).numbers, split(b).numbers) || (a < b ? -1 : 1));
}

interface Release {
  readonly numbers: readonly number[];
  readonly flavour: string;
}

/** `6.1.0-47-cloud-amd64`: numbers 6 1 0 47, flavour cloud-amd64. */
function split(release: string): Release {
  const match = /^(\d+(?:[.-]\d+)*)[^-]*-?(.*)$/.exec(release);
  const numbers = (match?.[1] ?? '').split(/[.-]/).map(Number);
  return { numbers, flavour: match?.[2] ?? '' };
}

function distance(release: string, target: Release): readonly number[] {
  const { numbers } = split(release);
  const length = Math.max(numbers.length, target.numbers.length);
  return Array.from({ length }, (_, index) => Math.abs((numbers[index] ?? 0) - (target.numbers[index] ?? 0)));
}

function compareNumbers(a: readonly number[], b: readonly number[]): number {
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) {
      return difference;
    }
  }
  return 0;
}
