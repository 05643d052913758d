import { isExcused, isOnly, type Kind } from './kinds.ts';

export interface CountedFile {
  readonly file: string;
  /** How `create` ended: `made`, `no_change`, `refused`, `failed`. */
  readonly outcome: string;
  readonly kinds: ReadonlySet<Kind>;
  /** What differs, for a person. */
  readonly changes: readonly string[];
  /** What the compiler said, if it refused the patched file. */
  readonly error: string | null;
}

export interface Count {
  /** Files that do not compile with their change alone. */
  readonly uncompiled: number;
  /** Files with the same objects before and after. */
  readonly unchanged: number;
  readonly changed: number;
  readonly made: number;
  /** No update, and nothing in the way but what an update cannot change. */
  readonly excused: number;
  /** No update, and nothing but exit code of what is built in changes, which the linker throws away. */
  readonly exitOnly: number;
}

export function countFiles(files: readonly CountedFile[]): Count {
  const compiled = files.filter(({ error }) => error === null);
  const changed = compiled.filter(({ kinds }) => kinds.size > 0);
  const unmade = changed.filter(({ outcome }) => outcome !== 'made');
  return {
    uncompiled: files.length - compiled.length,
    unchanged: compiled.length - changed.length,
    changed: changed.length,
    made: changed.length - unmade.length,
    excused: unmade.filter(({ kinds }) => isExcused(kinds)).length,
    exitOnly: unmade.filter(({ kinds }) => isOnly(kinds, 'exit')).length,
  };
}

/** The count, the files that no update was made of, and where `create` says something else. */
export function countText(files: readonly CountedFile[]): string {
  const { uncompiled, unchanged, changed, made, excused, exitOnly } = countFiles(files);
  const wanted = changed - excused;
  const unmade = files.filter(
    ({ kinds, outcome, error }) => error === null && kinds.size > 0 && outcome !== 'made',
  );
  const lines = [
    `${files.length} files: ${uncompiled} do not compile alone, ${unchanged} change no object, ${changed} do`,
    `${excused} of these have no update, and no obstacle but init code, initial data, layout, or special code`,
    `updates of ${made} of the other ${wanted}: ${percent(made, wanted)}`,
    `less ${exitOnly} that change nothing but exit code: ${percent(made, wanted - exitOnly)}`,
    '',
    'no update:',
    ...unmade.toSorted(byFile).map(unmadeText),
    '',
    ...disagreements(files),
  ];
  return `${lines.join('\n')}\n`;
}

function unmadeText({ file, outcome, kinds, changes }: CountedFile): string {
  const excuse = isExcused(kinds) ? 'excused' : 'not excused';
  return `  ${file}: ${outcome}, ${excuse}: ${[...kinds].join(' ')}: ${changes.slice(0, 6).join(', ')}`;
}

/** An update of what does not differ, none of what does, or another word about what compiles. */
function disagreements(files: readonly CountedFile[]): readonly string[] {
  const lines = files.toSorted(byFile).flatMap(({ file, outcome, kinds, changes, error }) => {
    const isChanged = kinds.size > 0;
    const told = error === null ? (isChanged ? changes.slice(0, 6).join(', ') : 'no change') : error;
    const agrees =
      error === null ? outcome !== 'failed' && isChanged !== (outcome === 'no_change') : outcome === 'failed';
    return agrees ? [] : [`  ${file}: create says ${outcome}; here: ${told}`];
  });
  return [lines.length === 0 ? 'create says the same of every file' : 'create says otherwise:', ...lines];
}

function percent(part: number, whole: number): string {
  return whole === 0 ? 'none' : `${((100 * part) / whole).toFixed(1)} %`;
}

function byFile(a: CountedFile, b: CountedFile): number {
  return a.file < b.file ? -1 : 1;
}
