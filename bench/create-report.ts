/** What `npm run bench -- create` prints of what it measured, and the limits beside it. */
import type { Shares, Step } from './create-steps.ts';
import { ratiosOf } from './create-steps.ts';
import { spreadOf, spreadText } from './statistics.ts';

/** One create. Times in seconds. */
export interface Measured {
  readonly files: number;
  /** Units in the update. */
  readonly units: number;
  readonly wall: number;
  /** Load average of the last minute at its end, itself included. */
  readonly load: number;
  readonly steps: readonly Step[];
  readonly shares: Shares;
  /** Most memory of create's own process. */
  readonly ownPeakKb: number;
  /** Most memory of all its processes at a time, at most. */
  readonly peakKb: number;
}

/** create may take this long on an idle machine with two processors. */
const LIMITS = { cold: 60, warm: 6, ratio: 1.3, peakMb: 1024 } as const;
/** A create on two processors makes a load of two by itself; with more than that, others ran too. */
const IDLE = 2;

type Reporter = (measured: readonly Measured[]) => readonly string[];

export const createReport = {
  cold: (measured) => ['create, cold (packages there, nothing unpacked)', ...details(measured, LIMITS.cold)],
  warm: (measured) => ['create, warm (unit not known yet)', ...details(measured, LIMITS.warm)],
  known: (measured) => ['create, warm, once more (unit known)', ...details(measured, LIMITS.warm)],
  single: (measured) => [`create, warm, ${measured.length} files one by one`, ...details(measured)],
  hundred: (measured) => [
    `create, warm, one patch of ${measured[0]?.files ?? 0} files: ${measured[0]?.units ?? 0} units in the update`,
    ...details(measured),
  ],
} as const satisfies Readonly<Record<string, Reporter>>;

function details(measured: readonly Measured[], limit?: number): readonly string[] {
  const loads = spreadOf(measured.map(({ load }) => load));
  const isBusy = loads.max > IDLE;
  const walls = measured.map(({ wall }) => wall);
  const verdict =
    limit === undefined ? '' : `; limit ${limit} s: ${judged(spreadOf(walls).median, limit, isBusy)}`;
  const busy = isBusy ? ', BUSY: not a measure' : '';
  return [
    `  wall       ${spreadText(walls, 's', 1)}, load ${loads.min.toFixed(1)} to ${loads.max.toFixed(1)}${busy}${verdict}`,
    `  processor  ${spreadText(
      measured.map(({ shares }) => shares.total),
      's',
      1,
    )}`,
    ...stepLines(measured),
    ...shareLines(measured),
    ...peakLines(measured),
  ];
}

/** A limit that is kept on a busy machine is kept on an idle one; what is not kept there tells nothing. */
function judged(value: number, limit: number, isBusy: boolean): string {
  if (value <= limit) return 'kept';
  return isBusy ? 'not told by a busy machine' : 'NOT KEPT';
}

function stepLines(measured: readonly Measured[]): readonly string[] {
  const names = [...new Set(measured.flatMap(({ steps }) => steps.map(({ name }) => name)))];
  return names.map((name) => {
    const of = (value: (step: Step) => number): string =>
      spreadOf(
        measured.map(({ steps }) =>
          steps.filter((step) => step.name === name).reduce((sum, step) => sum + value(step), 0),
        ),
      )
        .median.toFixed(2)
        .padStart(8);
    return `    ${name.padEnd(38)} wall${of(({ wall }) => wall)} s, processor${of(({ ownCpu }) => ownCpu)} s own,${of(({ childCpu }) => childCpu)} s started`;
  });
}

function shareLines(measured: readonly Measured[]): readonly string[] {
  const sum = (key: keyof Shares): number => measured.reduce((total, { shares }) => total + shares[key], 0);
  const sums: Shares = {
    own: sum('own'),
    compiler: sum('compiler'),
    objtool: sum('objtool'),
    kbuild: sum('kbuild'),
    kbuildCompiler: sum('kbuildCompiler'),
    other: sum('other'),
    total: sum('total'),
  };
  const percent = (key: keyof Shares): string => `${((100 * sums[key]) / sums.total).toFixed(1)} %`;
  const { all, own } = ratiosOf(sums);
  const isMany = (measured[0]?.files ?? 0) > 1;
  const verdict = isMany ? `; limit ${LIMITS.ratio}: ${all <= LIMITS.ratio ? 'kept' : 'NOT KEPT'}` : '';
  return [
    `    shares: cc1 and as ${percent('compiler')}, objtool ${percent('objtool')}, create itself ${percent('own')}, make ${percent('kbuild')}, cc1, as and objtool below make ${percent('kbuildCompiler')}, others ${percent('other')}`,
    `    all / cc1, as and objtool: ${all.toFixed(2)}${verdict}; without those below make: ${own.toFixed(2)}`,
  ];
}

function peakLines(measured: readonly Measured[]): readonly string[] {
  const most = (value: (one: Measured) => number): number => Math.max(...measured.map(value)) / 1024;
  const own = most(({ ownPeakKb }) => ownPeakKb);
  const all = most(({ peakKb }) => peakKb);
  // The sum over all processes is more than was ever in use: above the limit it tells nothing.
  const verdict =
    all <= LIMITS.peakMb ? 'kept' : own <= LIMITS.peakMb ? 'kept by itself, not shown for all' : 'NOT KEPT';
  return [
    `    memory: create itself ${own.toFixed(0)} MB, all together no more than ${all.toFixed(0)} MB; limit ${LIMITS.peakMb} MB: ${verdict}`,
  ];
}
