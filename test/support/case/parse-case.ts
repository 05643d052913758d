/**
 * Reads a case file. Strict, since a directive that is misspelt or misplaced would otherwise be an expectation
 * that nobody checks: whatever is not understood is an error with file and line.
 */
import type { Expectation, Obstacle, Refusal, TestCase } from './test-case.ts';

interface Line {
  readonly number: number;
  readonly directive: string;
  readonly value: string;
}

interface Block {
  readonly head: Line;
  readonly lines: readonly Line[];
}

const TOP = new Set([
  'ABOUT',
  'PATCH',
  'PATCH_FROM_DEBIAN',
  'MODULES',
  'SETUP',
  'TRIGGER',
  'EXPECT_BEFORE',
  'EXPECT',
  'CLEANUP',
  'DURING',
  'FUNCTIONS',
  'NEW_FUNCTIONS',
  'RESIDENT',
  'TWICE',
  'LOG',
  'TIMEOUT',
]);
/** Those that open a block, and what may stand in it, indented. */
const BLOCKS: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['REFUSED', new Set(['REASONS', 'SAYS'])],
  ['OBSTACLE', new Set(['SAYS', 'START', 'CHECK', 'STOP'])],
]);
/** Directives without a value. */
const FLAGS = new Set(['RESIDENT', 'TWICE']);
/** Directives that may stand there once only; the others add lines to what is there. */
const SINGLE = new Set([
  'PATCH',
  'PATCH_FROM_DEBIAN',
  'MODULES',
  'FUNCTIONS',
  'NEW_FUNCTIONS',
  'RESIDENT',
  'TWICE',
  'TIMEOUT',
  'REFUSED',
]);

const DEFAULT_TIMEOUT_S = 60;

/** An error of a case file, at a line of it. */
export class CaseError extends Error {
  override readonly name = 'CaseError';

  constructor(file: string, line: number, message: string) {
    super(`${file}:${line}: ${message}`);
  }
}

class CaseReader {
  readonly #file: string;
  readonly #top: Line[] = [];
  readonly #blocks: { readonly head: Line; readonly lines: Line[] }[] = [];
  #last = 1;

  constructor(text: string, file: string) {
    this.#file = file;
    const lines = text.split('\n');
    for (const [index, raw] of lines.entries()) this.#take(raw, index + 1);
  }

  fail(line: number, message: string): never {
    throw new CaseError(this.#file, line, message);
  }

  /** An error about what is not there. */
  missing(message: string): never {
    return this.fail(this.#last, message);
  }

  all(directive: string): readonly Line[] {
    return this.#top.filter((line) => line.directive === directive);
  }

  script(directive: string): string {
    return this.all(directive)
      .map((line) => line.value)
      .join('\n');
  }

  blocks(directive: string): readonly Block[] {
    return this.#blocks.filter(({ head }) => head.directive === directive);
  }

  #take(raw: string, number: number): void {
    if (raw.trim() === '' || raw.startsWith('#')) return;
    this.#last = number;
    const match = /^( {2})?([A-Z_]+)(?: (\S.*))?$/.exec(raw);
    if (match === null) {
      return this.fail(number, `expected DIRECTIVE value, found ${JSON.stringify(raw)}`);
    }
    const [, indent, directive = '', value = ''] = match;
    if ((value === '') !== FLAGS.has(directive)) {
      return this.fail(number, `${directive}: ${value === '' ? 'the value is missing' : 'takes no value'}`);
    }
    const line = { number, directive, value };
    if (indent === undefined) this.#takeTop(line);
    else this.#takeInner(line);
  }

  #takeTop(line: Line): void {
    const opens = BLOCKS.has(line.directive);
    if (!opens && !TOP.has(line.directive)) {
      this.fail(line.number, `unknown directive ${line.directive}`);
    }
    const first = [...this.#top, ...this.#blocks.map(({ head }) => head)].find(
      ({ directive }) => directive === line.directive,
    );
    if (first !== undefined && SINGLE.has(line.directive)) {
      this.fail(line.number, `${line.directive}: given already in line ${first.number}`);
    }
    if (opens) this.#blocks.push({ head: line, lines: [] });
    this.#top.push(line);
  }

  #takeInner(line: Line): void {
    const above = this.#top.at(-1);
    const block = this.#blocks.at(-1);
    const open = block !== undefined && block.head === above ? block : undefined;
    const allowed = open === undefined ? undefined : BLOCKS.get(open.head.directive);
    if (open === undefined || allowed === undefined) {
      return this.fail(line.number, `${line.directive}: indented, but no block is open`);
    }
    if (!allowed.has(line.directive)) {
      return this.fail(
        line.number,
        `${line.directive}: not in a block of ${open.head.directive}, which takes ${[...allowed].join(', ')}`,
      );
    }
    open.lines.push(line);
  }
}

function readPattern(reader: CaseReader, line: Line): RegExp {
  const source = /^\/(.+)\/$/.exec(line.value)?.[1];
  if (source === undefined) return reader.fail(line.number, `${line.directive}: expected /pattern/`);
  try {
    return new RegExp(source, 'm');
  } catch (error) {
    return reader.fail(
      line.number,
      `${line.directive}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

function readExpectation(reader: CaseReader, line: Line): Expectation {
  return line.value.startsWith('/')
    ? { kind: 'pattern', pattern: readPattern(reader, line) }
    : { kind: 'line', text: line.value };
}

/** `WHERE CODE STATUS`, with the patterns of the block. */
function readRefusal(
  reader: CaseReader,
  { head, lines }: Block,
  places: readonly string[],
): { readonly place: string; readonly refusal: Refusal } {
  const match = /^([a-z]+) ([a-z_]+) ([1-9][0-9]?)$/.exec(head.value);
  const [, place = '', code = '', status = ''] = match ?? [];
  if (!places.includes(place)) {
    return reader.fail(
      head.number,
      `${head.directive}: expected ${places.join('|')} CODE STATUS, found ${head.value}`,
    );
  }
  const says = lines.filter(({ directive }) => directive === 'SAYS').map((line) => readPattern(reader, line));
  const reasons = lines
    .filter(({ directive }) => directive === 'REASONS')
    .flatMap(({ value }) => value.split(/ +/))
    .toSorted();
  return { place, refusal: { code, reasons, exitCode: Number(status), says } };
}

function readObstacle(reader: CaseReader, block: Block): Obstacle {
  const { place, refusal } = readRefusal(reader, block, ['apply', 'undo']);
  const script = (name: string): string =>
    block.lines
      .filter(({ directive }) => directive === name)
      .map(({ value }) => value)
      .join('\n');
  const [start, stop] = [script('START'), script('STOP')];
  if (start === '' || stop === '') reader.fail(block.head.number, 'OBSTACLE: needs START and STOP');
  return { at: place === 'undo' ? 'undo' : 'apply', refusal, start, check: script('CHECK'), stop };
}

function readPatch(reader: CaseReader): TestCase['patch'] {
  const given = [...reader.all('PATCH'), ...reader.all('PATCH_FROM_DEBIAN')];
  const [line, second] = given;
  if (line === undefined) return reader.missing('no PATCH or PATCH_FROM_DEBIAN');
  if (second !== undefined)
    reader.fail(second.number, `${second.directive}: there is a patch already in line ${line.number}`);
  return { kind: line.directive === 'PATCH' ? 'file' : 'debian', path: line.value };
}

function readNames(reader: CaseReader, directive: string): readonly string[] | undefined {
  return reader.all(directive)[0]?.value.split(/ +/);
}

function readTimeout(reader: CaseReader): number {
  const line = reader.all('TIMEOUT')[0];
  if (line === undefined) return DEFAULT_TIMEOUT_S * 1000;
  if (!/^[1-9][0-9]{0,2}$/.test(line.value)) reader.fail(line.number, 'TIMEOUT: expected seconds, 1 to 999');
  return Number(line.value) * 1000;
}

const RUNS_IN_GUEST = [
  'MODULES',
  'SETUP',
  'TRIGGER',
  'EXPECT_BEFORE',
  'EXPECT',
  'CLEANUP',
  'DURING',
  'OBSTACLE',
  'FUNCTIONS',
  'NEW_FUNCTIONS',
  'RESIDENT',
  'TWICE',
  'LOG',
  'TIMEOUT',
];

function checkWhole(reader: CaseReader, createRefusal: Refusal | undefined): void {
  if (createRefusal !== undefined) {
    const useless = RUNS_IN_GUEST.flatMap((directive) => reader.all(directive))[0];
    if (useless !== undefined) {
      reader.fail(useless.number, `${useless.directive}: create refuses the patch, so nothing runs`);
    }
    return;
  }
  for (const directive of ['TRIGGER', 'EXPECT_BEFORE', 'EXPECT']) {
    if (reader.all(directive).length === 0) reader.missing(`no ${directive}`);
  }
}

/**
 * Parses `text`, the contents of `file` (named in errors), as the case `name`.
 * Throws CaseError at the first thing that is wrong.
 */
export function parseCase(text: string, file: string, name: string): TestCase {
  const reader = new CaseReader(text, file);
  const about = reader.script('ABOUT').replaceAll('\n', ' ');
  if (about === '') reader.missing('no ABOUT');
  const refused = reader.blocks('REFUSED')[0];
  const createRefusal = refused === undefined ? undefined : readRefusal(reader, refused, ['create']).refusal;
  const patch = readPatch(reader);
  checkWhole(reader, createRefusal);
  return {
    name,
    file,
    about,
    patch,
    createRefusal,
    modules: readNames(reader, 'MODULES') ?? [],
    setup: reader.script('SETUP'),
    trigger: reader.script('TRIGGER'),
    before: reader.all('EXPECT_BEFORE').map((line) => readExpectation(reader, line)),
    after: reader.all('EXPECT').map((line) => readExpectation(reader, line)),
    cleanup: reader.script('CLEANUP'),
    during: reader.all('DURING').map(({ value }) => value),
    obstacles: reader.blocks('OBSTACLE').map((block) => readObstacle(reader, block)),
    functions: readNames(reader, 'FUNCTIONS'),
    newFunctions: readNames(reader, 'NEW_FUNCTIONS'),
    resident: reader.all('RESIDENT').length > 0,
    twice: reader.all('TWICE').length > 0,
    log: reader.all('LOG').map((line) => readPattern(reader, line)),
    timeoutMs: readTimeout(reader),
  };
}
