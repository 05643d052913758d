import { availableParallelism } from 'node:os';
import path from 'node:path';
import { cacheDir } from '../debian/cache-dir.ts';
import { UsageError } from '../diagnostics/error.ts';
import { counted, formatDuration, formatSize } from '../report/format.ts';
import { normalizeCveIds } from '../update/cve-ids.ts';
import type { SignatureStatement } from '../update/signature.ts';
import { shortKeyId } from '../update/signing-keys.ts';
import type { UpdateContents } from '../update/update.ts';
import { writeUpdate } from '../update/write-update.ts';
import { findCoreSources } from './core-sources.ts';
import type { CreateFlags } from './create-command.ts';
import { checkPatchChoice } from './create-patches.ts';
import { createUpdate } from './create-pipeline.ts';
import { prebuildKernel } from './create-prepare.ts';
import { checkKernelChoice } from './kernel-parts.ts';
import type { Session } from './session.ts';
import { readSigner } from './signer.ts';
import { VERSION } from './version.ts';
import { writeOutput } from './write-output.ts';

/** `ksplice create` */
export async function create(session: Session, flags: CreateFlags): Promise<void> {
  const start = session.host.stderr.now();
  const elapsed = (): number => Math.round(session.host.stderr.now() - start) / 1000;
  checkKernelChoice(flags);
  checkPatchChoice(flags);
  if (flags.prebuild === true) checkPrebuild(flags);
  const cve = normalizeCveIds(flags.cve ?? []);
  // What can be wrong with the key is told now, and not after minutes.
  const signer = readSigner(session.host, { ...flags, key: flags.sign });
  const coreSources = findCoreSources(session.host.program);
  const options = {
    ...flags,
    cve,
    maxUnits: flags['max-units'],
    buildModules: flags['build-modules'],
    jobs: flags.jobs ?? availableParallelism(),
    cacheDir: cacheDir(session.host.env),
    coreSources,
    authorHeaders: path.join(coreSources, '..', 'include'),
    createdBy: `ksplice ${VERSION}`,
    signal: session.signal,
    onProgress: session.onProgress,
  };
  if (flags.prebuild === true) {
    const { kernel, tree } = await prebuildKernel(options);
    const seconds = elapsed();
    session.done(
      { release: kernel.release, version: kernel.version, tree: tree.buildDir, notes: tree.notes, seconds },
      `prepared ${kernel.release} for updates, in ${formatDuration(seconds * 1000)}\n`,
    );
    return;
  }
  const { contents, notes } = await createUpdate(options);
  const file = flags.output ?? `${contents.id}.ksplice`;
  const unsigned = await writeUpdate(contents);
  const signed = signer === undefined ? undefined : await signer.sign(unsigned, file);
  const bytes = signed?.bytes ?? unsigned;
  await writeOutput(file, bytes);

  const seconds = elapsed();
  const result = {
    id: contents.id,
    file: path.resolve(session.host.cwd, file),
    cves: contents.cves,
    signature: signed === undefined ? null : { key: signed.statement.key, serial: signed.statement.serial },
    functions: contents.units.flatMap((unit) => unit.functions.map(({ preName }) => preName)),
    newFunctions: contents.units.flatMap((unit) => unit.newFunctions),
    hooks: contents.units.flatMap((unit) => unit.hooks),
    units: contents.units.map((unit) => unit.path),
    modules: contents.modules.map(({ name }) => name),
    notes,
    seconds,
  };
  // They are part of the result, which is left out.
  if (flags.quiet === true && !session.json) for (const note of notes) session.progress.print(note);
  session.done(result, resultText(contents, file, notes, signed?.statement, bytes.length, seconds));
}

/** What says how the update shall be means nothing where none is made. Throws UsageError. */
function checkPrebuild({ output, on, id, description, cve, match, sign, ...rest }: CreateFlags): void {
  const without = {
    output,
    on,
    id,
    description,
    cve,
    match,
    sign,
    'max-units': rest['max-units'],
    'build-modules': rest['build-modules'],
  };
  const given = Object.entries(without).find(([, value]) => value !== undefined);
  if (given !== undefined) {
    throw new UsageError('usage', `--${given[0]}: --prebuild makes no update`, { hint: 'leave it out' });
  }
}

function resultText(
  contents: UpdateContents,
  file: string,
  notes: readonly string[],
  signed: SignatureStatement | undefined,
  size: number,
  seconds: number,
): string {
  const lines = [`${contents.id}: ${contents.description}`];
  for (const unit of contents.units) {
    lines.push(`  ${unit.path}`);
    lines.push(...unit.functions.map(({ preName }) => `    replaces ${preName}`));
    lines.push(...unit.newFunctions.map((name) => `    adds ${name}`));
    lines.push(...unit.hooks.map(({ kind, name }) => `    calls ${name} (${kind})`));
  }
  lines.push(
    ...contents.modules.map(({ file: name, bytes }) => `  carries ${name}, ${formatSize(bytes.length)}`),
  );
  if (contents.cves.length > 0) lines.push(`  fixes ${contents.cves.join(', ')}`);
  if (signed !== undefined)
    lines.push(`  signed with key ${shortKeyId(signed.key)}, serial ${signed.serial}`);
  lines.push(...notes.map((note) => `  ${note}`));
  const functions = counted(contents.units.flatMap((unit) => unit.functions).length, 'function');
  const units = counted(contents.units.length, 'unit');
  lines.push(
    `made ${file} for ${contents.kernel.release}: ${functions} in ${units}, ${formatSize(size)}, ${formatDuration(seconds * 1000)}`,
  );
  return `${lines.join('\n')}\n`;
}
