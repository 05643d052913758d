/**
 * The program that matches in a guest: `node guest.cjs UNITS RESULT`, both files of JSON.
 *
 * Modules are loaded before anything is read, since each one changes kallsyms, which takes a second to read here.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import * as v from 'valibot';
import { readProcFile } from '../../src/kernel/read-proc-file.ts';
import { RunningKernel } from '../../src/kernel/running-kernel.ts';
import { VMLINUX } from '../../src/kernel/symbol-scope.ts';
import { textPatches } from '../../src/live/text-patches.ts';
import { matchUnits } from './match-units.ts';
import { parseKallsyms } from './parse-kallsyms.ts';
import { compiledUnitSchema, formatMatchRun } from './unit-result.ts';

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function runTool(...argv: readonly [string, ...string[]]): string | undefined {
  const [name, ...rest] = argv;
  const { status, stderr, error } = spawnSync(name, rest, { encoding: 'utf8', argv0: name });
  return status === 0 ? undefined : (error?.message ?? stderr.trim());
}

/** Loads the modules; returns those that cannot be, with modprobe's reason. */
function loadModules(names: readonly string[]): ReadonlyMap<string, string> {
  if (names.length > 0) {
    // kmod is one program under many names.
    const { status, stderr } = spawnSync('/usr/bin/kmod', ['-a'], { argv0: 'depmod', encoding: 'utf8' });
    if (status !== 0) print(`depmod: ${stderr}`);
  }
  return new Map(
    names.flatMap((name) => {
      const reason = runTool('modprobe', name);
      return reason === undefined ? [] : [[name, reason.replaceAll('\n', '; ')] as const];
    }),
  );
}

async function main([unitsFile = '', resultFile = '']: readonly string[]): Promise<void> {
  const units = v.parse(v.array(compiledUnitSchema), JSON.parse(readFileSync(unitsFile, 'utf8')));
  const targets = [...new Set(units.map(({ target }) => target))].filter((target) => target !== VMLINUX);
  const missing = loadModules(targets);
  print(`${targets.length - missing.size} of ${targets.length} modules loaded`);
  using kernel = new RunningKernel();
  const run = await matchUnits(
    units,
    {
      kernel,
      symbols: () => parseKallsyms(readProcFile('/proc/kallsyms')),
      missing,
      patches: () => textPatches(kernel),
    },
    (done) => print(`${done} of ${units.length} units`),
  );
  writeFileSync(resultFile, formatMatchRun(run));
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 70;
});
