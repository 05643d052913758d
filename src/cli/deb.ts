import { UsageError } from '../diagnostics/error.ts';
import { buildDeb } from '../packages/build-deb.ts';
import { updatePackage } from '../packages/update-package.ts';
import { readUpdate, readUpdateBytes } from '../update/read-update.ts';
import type { DebFlags } from './deb-command.ts';
import type { Session } from './session.ts';

/** Every file of the package has this time, unless SOURCE_DATE_EPOCH says another: 2026-01-01, which says nothing. */
const DEFAULT_TIME = 1_767_225_600;

function timeOf({ host }: Session): number {
  const given = host.env['SOURCE_DATE_EPOCH'];
  if (given === undefined || given === '') return DEFAULT_TIME;
  const time = Number(given);
  if (Number.isSafeInteger(time) && time >= 0) return time;
  throw new UsageError(
    'usage',
    `SOURCE_DATE_EPOCH: found ${JSON.stringify(given)}, expected seconds since 1970`,
    {
      hint: 'leave it unset, and the package has a time of its own',
    },
  );
}

/** `ksplice deb FILE` */
export async function deb(session: Session, flags: DebFlags, file: string): Promise<void> {
  const bytes = readUpdateBytes(file);
  const update = readUpdate(bytes, file);
  const made = updatePackage(update, bytes, {
    version: flags['package-version'],
    maintainer: flags.maintainer,
    time: timeOf(session),
  });
  const { Package: name = '', Version: version = '' } = made.control;
  const output = flags.output ?? `${name}_${version}_amd64.deb`;
  session.progress.step(`packing ${name}`);
  await buildDeb(made, output);
  session.done(
    { file: output, package: name, version, depends: made.control['Depends'] },
    `${output}: ${update.id} for ${update.kernel.release}, as the package ${name}\n`,
  );
}
