/** An inspection as a person reads it in a terminal. Nothing in it can move the cursor. */
import { hex, hexBytes } from '../../diagnostics/hex.ts';
import { counted, formatSize } from '../format.ts';
import { printable } from '../printable.ts';
import type { CodeLine } from './code-line.ts';
import type { CodeRow } from './compare-code.ts';
import type {
  InspectedCode,
  InspectedFunction,
  InspectedUnit,
  Inspection,
  KernelCheck,
} from './inspection.ts';
import { passedOver } from './passed-over.ts';
import { reasonsFor } from './reasons.ts';
import { symbolGroups } from './symbol-groups.ts';

/** Rows to show around those that differ. */
const CONTEXT = 3;

type Lines = readonly string[];

/** `  label   first`, the others below it. */
function labelled(label: string, values: readonly string[]): Lines {
  return values.map((value, index) => `  ${(index === 0 ? label : '').padEnd(14)} ${value}`);
}

const indented = (lines: Lines, by = '  '): Lines => lines.map((line) => `${by}${line}`);

/** Lines under a heading; nothing without lines. */
function section(title: string, lines: Lines): Lines {
  return lines.length === 0 ? [] : ['', `== ${title}`, ...lines];
}

export function inspectionText(inspection: Inspection): string {
  const { units, created, patches, check } = inspection;
  const several = units.length > 1 ? ` in ${units.length} units` : '';
  const lines = [
    ...summary(inspection),
    ...(check === null ? [] : section('kernel', checkLines(check))),
    ...section('to know', created?.remarks.map(({ severity, message }) => `${severity}: ${message}`) ?? []),
    ...section(`functions${several}`, units.flatMap(functionLines)),
    ...section('new', units.flatMap(newLines)),
    ...section(
      'hooks',
      units.flatMap(({ path, hooks }) => hooks.map(({ kind, name }) => `  ${name} (${kind}), ${path}`)),
    ),
    ...section('found, and no change', passedOverLines(inspection)),
    ...patches.flatMap(({ name, text }) => section(`patch ${name}`, text.trimEnd().split('\n'))),
    ...units.flatMap(codeOfUnit),
    ...section('symbols', units.flatMap(symbolLines)),
  ];
  return `${lines.map((line) => printable(line.replaceAll('\t', '        '))).join('\n')}\n`;
}

function summary(inspection: Inspection): Lines {
  const { file, size, digest, id, kernel, units, core, stub, matching } = inspection;
  const functions = units.flatMap((unit) => unit.functions).length;
  const added = units.flatMap(({ newFunctions }) => newFunctions).length;
  const memory = units.reduce(
    (sum, { memory: { text, readOnly, writable } }) => sum + text + readOnly + writable,
    0,
  );
  return [
    `${file}: update ${id}`,
    ...labelled('description', inspection.description === '' ? [] : [inspection.description]),
    ...labelled('fixes', inspection.cves),
    ...labelled(
      'on top of',
      inspection.on.map(({ id }) => id),
    ),
    ...labelled('changes', [
      `${counted(functions, 'function')} in ${counted(units.length, 'unit')}, ${added} new`,
    ]),
    ...labelled('kernel', [`${kernel.release}${kernel.version === null ? '' : ` (${kernel.version})`}`]),
    ...labelled('built', kernel.banner === null ? [] : [kernel.banner]),
    ...labelled('compiler', [kernel.compiler]),
    ...labelled('matched', [matching]),
    ...labelled('core', [`interface ${core.interface}, ${formatSize(core.size)}`]),
    ...labelled('size', [
      `${formatSize(size)}; ${formatSize(memory)} in memory beside the core, stub.o ${formatSize(stub.size)}`,
    ]),
    ...labelled('SHA-256', [`${digest} (manifest.json)`]),
    ...labelled('made by', [inspection.createdBy]),
    ...labelled('signed by', inspection.signedBy === null ? [] : [inspection.signedBy]),
    ...units.flatMap(({ path, target, sizes }) =>
      labelled('unit', [
        `${path} in ${target}: ${formatSize(sizes.replacement)} of replacement, ${formatSize(sizes.pre)} to match`,
      ]),
    ),
  ];
}

function checkLines({ release, kernel, fits, problem, units }: KernelCheck): Lines {
  return [
    `  ${fits ? 'fits' : 'does not fit'} ${release} (${kernel})`,
    ...units.map(({ unit, compared, mismatch }) =>
      mismatch === undefined
        ? `  ${unit}: ${formatSize(compared)} of code are as they were compiled`
        : `  ${mismatch.summary}: ${mismatch.cause}`,
    ),
    ...(problem === null ? [] : [`  ${problem}`]),
  ];
}

function functionLines(unit: InspectedUnit): Lines {
  return [
    `${unit.path} (${unit.target})`,
    ...unit.functions.flatMap((one) => [
      `  ${one.name}${one.owner === null ? '' : ` of update ${one.owner}`}: ${counted(one.sizes.post, 'byte')}, before ${one.sizes.pre}; jump at +${hex(one.site.offset)}`,
      ...indented(reasonsFor(one, unit), '    '),
      ...(one.needsLivepatch === null
        ? []
        : [`    needs livepatch: ${one.needsLivepatch}; it takes apply --engine livepatch`]),
      ...runLines(one),
    ]),
    ...unit.escapes.reasons.map((reason) => `  stays loaded after an undo: ${reason}`),
  ];
}

function runLines({ run }: InspectedFunction): Lines {
  if (run === null) return [];
  return [
    `    in memory at ${hex(run.address)}`,
    ...run.instructions.map(
      ({ offset, kind, bytes, text }) => `      +${hex(offset)} ${kind}: ${hexBytes(bytes)}  ${text}`,
    ),
  ];
}

function newLines({ path, newFunctions, changes }: InspectedUnit): Lines {
  return [
    ...newFunctions.map(({ name, size }) => `  function ${name}, ${counted(size, 'byte')}, ${path}`),
    ...(changes?.newData ?? []).map(
      ({ name, size, section: where }) => `  object ${name}, ${counted(size, 'byte')} in ${where}, ${path}`,
    ),
    ...(changes?.copiedData ?? []).map(
      ({ name, size, why }) => `  copy of ${name}, ${counted(size, 'byte')}, ${path}: ${why}`,
    ),
  ];
}

function passedOverLines(inspection: Inspection): Lines {
  const lists = passedOver(inspection);
  if (lists === undefined) return ['  not recorded when the update was made'];
  return lists.flatMap(({ title, entries }) => [title, ...indented(entries)]);
}

function symbolLines(unit: InspectedUnit): Lines {
  return [
    unit.path,
    ...symbolGroups(unit).flatMap(({ how, symbols }) => [
      `  ${how}`,
      ...symbols.map(
        ({ symbol, weak, usedBy }) => `    ${symbol}${weak ? ' (weak)' : ''}, for ${usedBy.join(', ')}`,
      ),
    ]),
  ];
}

function codeOfUnit(unit: InspectedUnit): Lines {
  return [
    ...unit.functions.flatMap(({ name, code }) =>
      code.flatMap((part) => codeLines(`${name} of ${unit.path}`, part)),
    ),
    ...unit.newFunctions.flatMap(({ name, code }) =>
      code.flatMap((part) => codeLines(`${name} of ${unit.path}, new`, part)),
    ),
  ];
}

function codeLines(title: string, { name, rows }: InspectedCode): Lines {
  const shown = rows.map((_, index) =>
    rows.slice(Math.max(0, index - CONTEXT), index + CONTEXT + 1).some(({ mark }) => mark !== 'same'),
  );
  const lines: string[] = [];
  let place = '';
  let skipped = 0;
  const skip = (): void => {
    if (skipped > 0) lines.push(`  ... ${counted(skipped, 'instruction')} the same`);
    skipped = 0;
  };
  for (const [index, row] of rows.entries()) {
    if (shown[index] !== true) {
      skipped += 1;
      continue;
    }
    skip();
    const source = (row.post ?? row.pre)?.source;
    const now = source === undefined ? '' : `${source.file}:${source.line}`;
    if (now !== '' && now !== place) lines.push(`  ${now}`);
    if (now !== '') place = now;
    lines.push(...rowLines(row));
  }
  skip();
  return section(name.includes('.cold') ? `code of ${title}, ${name}` : `code of ${title}`, lines);
}

function lineText(sign: string, line: CodeLine | undefined): Lines {
  return line === undefined ? [] : [`${sign} ${line.offset.toString(16).padStart(5)}:  ${line.text}`];
}

function rowLines({ mark, pre, post }: CodeRow): Lines {
  return mark === 'same' ? lineText(' ', post) : [...lineText('-', pre), ...lineText('+', post)];
}
