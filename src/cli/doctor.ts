import { existsSync, readFileSync } from 'node:fs';
import { release as runningRelease } from 'node:os';
import path from 'node:path';
import { parseConfig } from '../build/kernel-config.ts';
import { findBuildTools } from '../build/required-tools.ts';
import { cacheDir } from '../debian/cache-dir.ts';
import { MissingError } from '../diagnostics/error.ts';
import { diagnoseMachine, type Finding, find } from '../live/diagnose-machine.ts';
import { counted, formatSize } from '../report/format.ts';
import { checkFreeSpace, ROOM } from './create-machine.ts';
import type { DoctorFlags } from './doctor-command.ts';
import type { Session } from './session.ts';

/** `ksplice doctor`. Throws MissingError where something is lacking, with all findings in its details. */
export async function doctor(session: Session, flags: DoctorFlags): Promise<void> {
  const wants = (aim: Finding['for']): boolean => flags.for === undefined || flags.for === aim;
  session.progress.step('looking at this machine');
  const findings = [
    ...(wants('apply') ? await diagnoseMachine() : []),
    ...(wants('create') ? await diagnoseCreate(session) : []),
  ];
  const text = (['apply', 'create'] as const).filter(wants).map((aim) => findingsText(aim, findings));
  const missing = findings.filter(({ state }) => state === 'missing');
  if (missing.length === 0) {
    session.result({ findings }, text.join('\n'));
    return;
  }
  session.progress.done();
  if (!session.json) session.host.stdout(`${text.join('\n')}\n`);
  throw new MissingError(
    'missing_tool',
    `${counted(missing.length, 'thing')} missing: ${missing.map(({ what }) => what).join(', ')}`,
    {
      hint: 'the list says what to do about each',
      details: { findings },
    },
  );
}

async function diagnoseCreate(session: Session): Promise<readonly Finding[]> {
  // What is there of it already: looking makes no directories.
  let directory = cacheDir(session.host.env);
  while (!existsSync(directory)) directory = path.dirname(directory);
  const release = runningRelease();
  const config = `/boot/config-${release}`;
  const compiler: Finding = existsSync(config)
    ? await find('create', 'compiler and tools', async () => {
        const { version } = await findBuildTools(parseConfig(readFileSync(config, 'utf8')));
        return `${version}, as ${release} was compiled by`;
      })
    : {
        for: 'create',
        what: 'compiler and tools',
        state: 'note',
        found: `not looked at: there is no ${config}`,
        hint: 'create looks for what the kernel that it is to make an update for was compiled by',
      };
  const needed = ROOM.packages + ROOM.tree + ROOM.run;
  return [
    compiler,
    await find('create', 'free space', async () => {
      await checkFreeSpace(directory, needed);
      return `at least the ${formatSize(needed)} that a kernel new to ${directory} takes`;
    }),
  ];
}

function findingsText(aim: Finding['for'], findings: readonly Finding[]): string {
  const lines = findings
    .filter((finding) => finding.for === aim)
    .flatMap(({ what, state, found, hint }) => [
      `  ${(state === 'note' ? '' : state).padEnd(8)}${what}: ${found}`,
      ...(hint === null ? [] : [`          ${hint}`]),
    ]);
  return `${aim}\n${lines.join('\n')}\n`;
}
