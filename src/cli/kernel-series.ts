import path from 'node:path';
import { UsageError } from '../diagnostics/error.ts';
import { writeSeries } from '../series/write-series.ts';
import { findCoreSources } from './core-sources.ts';
import type { KernelSeriesFlags } from './kernel-series-command.ts';
import type { Session } from './session.ts';

/** Replaced by whoever sends the series: checkpatch takes it for a person's. */
const PLACEHOLDER = 'Your Name <your.name@example.org>';
/** 2026-01-01: any date will do that is the same tomorrow. */
const DATE = 1_767_225_600;

function dateOf(env: Readonly<Record<string, string | undefined>>): number {
  const given = env['SOURCE_DATE_EPOCH'];
  if (given === undefined) return DATE;
  if (!/^[0-9]{1,10}$/.test(given)) {
    throw new UsageError('usage', `SOURCE_DATE_EPOCH: expected seconds since 1970, found '${given}'`);
  }
  return Number(given);
}

/** `ksplice kernel-series` */
export async function kernelSeries(session: Session, flags: KernelSeriesFlags): Promise<void> {
  const { host, signal } = session;
  const output = path.resolve(host.cwd, flags.output);
  const series = await writeSeries({
    source: path.resolve(host.cwd, flags.source),
    coreSources: findCoreSources(host.program),
    output,
    author: flags['sign-off'] ?? PLACEHOLDER,
    date: dateOf(host.env),
    signal,
  });
  const lines = series.files.map((name) => `  ${name}\n`);
  session.done(
    { output, ...series },
    `${output}: for Linux ${series.version}, ${series.files.length - 1} patches\n${lines.join('')}`,
  );
}
