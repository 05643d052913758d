import { UsageError } from '../diagnostics/error.ts';
import { describeConflict } from '../live/abort-cause.ts';
import { coreInterface, isCoreLoaded, operation } from '../live/core-sysfs.ts';
import { judgeMachine, verdictText } from '../live/monitor.ts';
import type { SignatureVerdict } from '../live/trust/judge.ts';
import { signatureLook } from '../live/trust/look.ts';
import { type ElsewhereView, type ModuleView, type UpdateView, viewMachine } from '../live/view.ts';
import { counted, formatAge, formatSize } from '../report/format.ts';
import type { ManifestUnit } from '../update/manifest.ts';
import { readUpdateFile } from '../update/read-update.ts';
import type { Update } from '../update/update.ts';
import type { Session } from './session.ts';
import { signatureText } from './signature-text.ts';
import type { ViewFlags } from './view-command.ts';

/** `ksplice view [ID | --file FILE | --check]` */
export async function view(session: Session, flags: ViewFlags, id?: string): Promise<void> {
  if (flags.check === true) {
    if (flags.file !== undefined) {
      throw new UsageError('usage', '--check judges what is applied: it takes no --file', {
        hint: 'leave one of them out',
      });
    }
    const verdict = judgeMachine(id);
    session.result(verdict, verdictText(verdict));
    session.endWith(verdict.status);
    return;
  }
  if (flags.file === undefined) {
    const { updates, elsewhere } = viewMachine(id);
    const texts = updates.map((update) => viewText(update, id !== undefined));
    if (id === undefined && elsewhere.length > 0) texts.push(elsewhere.map(elsewhereLine).join(''));
    if (texts.length === 0) texts.push('no updates\n');
    const core = isCoreLoaded() ? { operation: operation(), interface: coreInterface() } : null;
    if (core !== null) texts.push(`core: ${core.operation}, interface ${core.interface}\n`);
    session.result({ updates, elsewhere, core }, texts.join('\n'));
    return;
  }
  if (id !== undefined) {
    throw new UsageError('usage', 'view takes an ID or --file, not both', { hint: 'leave one of them out' });
  }
  const update = readUpdateFile(flags.file);
  const patches = update.patches.map(({ name, bytes }) => ({ name, text: patchText(bytes) }));
  const { digest, manifest } = update;
  const signature = signatureLook()(update);
  session.result(
    {
      file: flags.file,
      digest,
      signature,
      ...manifest,
      cves: update.cves,
      matching: update.matching,
      patches,
    },
    fileText(flags.file, update, signature),
  );
}

function elsewhereLine({ id, release, file }: ElsewhereView): string {
  return `${id}: installed for ${release ?? `another kernel (${file})`}, which is not running\n`;
}

function viewText(update: UpdateView, withPatch: boolean): string {
  const lines = [
    `${update.id}: ${update.stage}${sinceText(update)}`,
    ...labelled('description', update.description === '' ? [] : [update.description]),
    ...labelled('fixes', update.cves),
    ...labelled('signed by', signedBy(update.signature)),
    ...labelled('engine', [update.engine]),
    ...labelled('units', update.units),
    ...labelled('functions', update.functions),
    ...labelled('at boot', bootText(update)),
    ...labelled('last abort', update.abortCause === 'ok' ? [] : [update.abortCause]),
    ...labelled('in the way', update.conflicts.map(describeConflict)),
    ...labelled(
      'shadowed',
      update.shadowed.map((one) => `${one.function} by the livepatch ${one.livepatch}`),
    ),
    ...labelled('modules', update.modules.flatMap(moduleLines)),
  ];
  const patches = withPatch ? update.patches.map(({ name, text }) => `\n${name}:\n${text}`).join('') : '';
  return `${lines.join('\n')}\n${patches}`;
}

/** ` since 2026-11-24T14:33:33.158Z (2 days ago)`; nothing for what is not applied. */
function sinceText({ appliedAt, ageSeconds }: UpdateView): string {
  if (appliedAt === null || ageSeconds === null) return '';
  return ` since ${appliedAt} (${formatAge(ageSeconds)} ago)`;
}

function bootText({ atBoot, notApplied }: UpdateView): readonly string[] {
  if (!atBoot) return [];
  return [notApplied === null ? 'applied' : `not applied: ${notApplied}`];
}

const loadedText: Readonly<Record<ModuleView['loaded'], string>> = {
  no: 'not loaded',
  fixed: 'loaded, and it is the fixed one',
  another: 'loaded, and it is not the fixed one',
};

function moduleLines({ name, file, isFirst, loaded, stale }: ModuleView): readonly string[] {
  const found =
    file === null
      ? 'the fixed module is not where it was put'
      : `fixed in ${file}${isFirst ? '' : ', but modprobe takes another'}`;
  return [
    `${name}: ${found}; ${loadedText[loaded]}`,
    ...(stale === null ? [] : [`${name}: stale (${stale}): take it away with ksplice undo`]),
  ];
}

function fileText(file: string, update: Update, signature: SignatureVerdict): string {
  const { kernel, manifest } = update;
  const lines = [
    `${file}: update ${update.id}`,
    ...labelled('description', update.description === '' ? [] : [update.description]),
    ...labelled('fixes', update.cves),
    ...labelled('kernel', [`${kernel.release}${kernel.version === null ? '' : ` (${kernel.version})`}`]),
    ...labelled('built', kernel.banner === null ? [] : [kernel.banner]),
    ...labelled('compiler', [kernel.compiler]),
    ...labelled('matched', [update.matching]),
    ...labelled('core', [`interface ${update.coreInterface}`]),
    ...labelled('made by', [update.createdBy]),
    ...labelled('signed by', signedBy(signature)),
    ...manifest.units.flatMap(unitLines),
    ...labelled(
      'module',
      update.modules.map(({ file: name, bytes }) => `${name} as a whole, ${formatSize(bytes.length)}`),
    ),
  ];
  const patches = update.patches.map(({ name, bytes }) => `\n${name}:\n${patchText(bytes)}`).join('');
  return `${lines.join('\n')}\n${patches}`;
}

function signedBy(signature: SignatureVerdict | null): readonly string[] {
  const text = signature === null ? undefined : signatureText(signature);
  return text === undefined ? [] : [text];
}

function unitLines(unit: ManifestUnit): readonly string[] {
  const { functions, newFunctions, hooks = [], escapes } = unit;
  return [
    ...labelled('unit', [
      `${unit.path} in ${unit.target}, ${formatSize(unit.replacement.size)} of replacement`,
    ]),
    ...labelled(
      '  replaced',
      functions.map(({ preName, needsLivepatch }) =>
        needsLivepatch === null ? preName : `${preName} (needs livepatch: ${needsLivepatch})`,
      ),
    ),
    ...labelled('  new', newFunctions),
    ...labelled(
      '  hooks',
      hooks.map(({ kind, name }) => `${name} (${kind})`),
    ),
    ...labelled('  resident', escapes.reasons),
    ...labelled(
      '  refers to',
      unit.references.length === 0 ? [] : [counted(unit.references.length, 'symbol')],
    ),
  ];
}

/** `  label   first`, the others below it. */
function labelled(label: string, values: readonly string[]): readonly string[] {
  return values.map((value, index) => `  ${(index === 0 ? label : '').padEnd(12)} ${value}`);
}

/** A patch as text that cannot move the cursor of a terminal. */
function patchText(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('utf8');
  return text.replaceAll(/[\p{Cc}\p{Bidi_Control}]/gu, (character) =>
    character === '\n' || character === '\t' ? character : '\ufffd',
  );
}
