/**
 * Checks what points where: rooms import from earlier rooms only, the decoder has one importer, and only cli
 * touches the process.
 *
 * Structure that nothing checks is gone after a year. The compiler does not care whether the object reader
 * knows a kernel, so this does. It reads text, not syntax: a statement that starts a line with `import` or
 * `export` and has a string after `from`, and `import(` with a string. An import whose specifier is computed
 * escapes that, so it is forbidden.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';

export interface SourceText {
  /** Path below the project's root, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

export interface Violation {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

/** In order: a room imports from itself and from those before it. */
export const ROOMS = [
  'diagnostics',
  'process',
  'elf',
  'x86',
  'kernel',
  'build',
  'diff',
  'update',
  'match',
  'link',
  'live',
  'debian',
  'packages',
  'series',
  'report',
  'cli',
] as const;

type Room = (typeof ROOMS)[number];

/** What comparing with a kernel and linking for it need: not what making an update does, which loads the decoder at once. */
const ON_THE_MACHINE = ['diagnostics', 'process', 'elf', 'x86', 'kernel', 'update'] as const;

/** Rooms that may import less than all that lie before them: from these, or from folders in them. */
const ONLY_FROM: Partial<Record<Room, readonly string[]>> = {
  build: ['diagnostics', 'process', 'elf', 'x86', 'kernel/tables'],
  diff: ['diagnostics', 'process', 'elf', 'x86', 'kernel/tables', 'build'],
  update: ['diagnostics', 'process', 'elf', 'x86', 'kernel/tables', 'build', 'diff'],
  match: ON_THE_MACHINE,
  link: [...ON_THE_MACHINE, 'match'],
  live: [...ON_THE_MACHINE, 'match', 'link'],
  debian: ['diagnostics', 'process'],
  packages: ['diagnostics', 'process', 'update'],
  series: ['diagnostics', 'process'],
};

/** Packages that one room only may import. */
const OWNED: Readonly<Record<string, Room>> = {
  'iced-x86': 'x86',
  '@stricli/core': 'cli',
};

/** What of `process` belongs to the command line; a subprocess inherits the environment, and a path is looked up. */
const PROCESS_USE = /\bprocess\.(exit|exitCode|argv|env|stdin|stdout|stderr)\b/g;
const ENVIRONMENT_READERS: readonly string[] = ['process', 'build'];

const IMPORT =
  /(?:^[ \t]*(?:import|export)\b[^'"`;]*?\bfrom\s*|^[ \t]*import\s*|\bimport\s*\(\s*)(['"`])([^'"`\n]+)\1/gm;
const COMPUTED_IMPORT = /\b(?:import|require)\s*\(\s*[^'"`\s)]/g;

/** Everything that is wrong, in the order of the files given. `dependencies`: packages that src may import. */
export function checkImports(
  files: readonly SourceText[],
  dependencies: readonly string[],
): readonly Violation[] {
  return files.flatMap((file) => {
    const found: { readonly index: number; readonly message: string }[] = [];
    for (const match of file.text.matchAll(IMPORT)) {
      const message = judgeImport(file.path, match[2] ?? '', dependencies);
      if (message !== undefined) {
        found.push({ index: match.index + match[0].length, message });
      }
    }
    if (isProduct(file.path)) {
      found.push(...judgeProcess(file));
      for (const match of file.text.matchAll(COMPUTED_IMPORT)) {
        found.push({ index: match.index, message: 'imports a name that is computed' });
      }
    }
    return found
      .toSorted((a, b) => a.index - b.index)
      .map(({ index, message }) => ({
        path: file.path,
        line: file.text.slice(0, index).split('\n').length,
        message,
      }));
  });
}

function judgeImport(path: string, specifier: string, dependencies: readonly string[]): string | undefined {
  if (specifier.startsWith('node:')) {
    return undefined;
  }
  if (!specifier.startsWith('.')) {
    return judgePackage(path, specifier, dependencies);
  }
  const target = posix.join(posix.dirname(path), specifier);
  if (!/\.(?:ts|json)$/.test(target)) {
    return `imports ${specifier}: the ending .ts is missing`;
  }
  if (path.startsWith('test/support/') && /^src\/(?:live|cli)\//.test(target)) {
    return `test/support imports ${target}: it may not know live and cli`;
  }
  return isProduct(path) ? judgeRooms(path, target) : undefined;
}

function judgePackage(path: string, specifier: string, dependencies: readonly string[]): string | undefined {
  if (!isProduct(path)) {
    return undefined;
  }
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  if (!dependencies.includes(name)) {
    return `imports ${specifier}: not in the dependencies of package.json`;
  }
  const owner = OWNED[name];
  return owner === undefined || owner === roomOf(path) ? undefined : `imports ${name}: only src/${owner} may`;
}

function judgeRooms(path: string, target: string): string | undefined {
  const from = roomOf(path);
  if (from === undefined) {
    return `lies in no room of src (${ROOMS.join(', ')})`;
  }
  if (target === 'package.json') {
    return undefined;
  }
  const to = roomOf(target);
  if (to === undefined) {
    return `imports ${target}: not in a room of src`;
  }
  if (ROOMS.indexOf(to) > ROOMS.indexOf(from)) {
    return `src/${from} imports ${target}: src/${to} is a later room`;
  }
  const allowed = ONLY_FROM[from];
  if (to !== from && allowed?.every((place) => !target.startsWith(`src/${place}/`)) === true) {
    return `src/${from} imports ${target}: it may import from ${allowed.join(', ')} only`;
  }
  return undefined;
}

function judgeProcess(file: SourceText): readonly { readonly index: number; readonly message: string }[] {
  const room = roomOf(file.path);
  if (room === 'cli') {
    return [];
  }
  return [...file.text.matchAll(PROCESS_USE)]
    .filter((match) => !isInComment(file.text, match.index))
    .filter((match) => match[1] !== 'env' || room === undefined || !ENVIRONMENT_READERS.includes(room))
    .map((match) => ({ index: match.index, message: `uses ${match[0]}: only src/cli may` }));
}

/** On a line that starts as a comment does. */
function isInComment(text: string, index: number): boolean {
  const start = text.lastIndexOf('\n', index) + 1;
  return /^\s*(?:\*|\/\/|\/\*)/.test(text.slice(start, index));
}

/** Code that ships: what lies in src and is no test. */
function isProduct(path: string): boolean {
  return path.startsWith('src/') && !path.endsWith('.test.ts');
}

function roomOf(path: string): Room | undefined {
  const [top, name] = path.split('/');
  return top === 'src' ? ROOMS.find((room) => room === name) : undefined;
}

/** Reads every TypeScript file of the project. */
export function readSources(root: string): readonly SourceText[] {
  const folders = ['src', 'test', 'bench', 'scripts'].filter((folder) => existsSync(join(root, folder)));
  return folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .toSorted()
      .map((name) => ({ path: `${folder}/${name}`, text: readFileSync(join(root, folder, name), 'utf8') })),
  );
}

/** The packages that package.json lists for use by the product. */
export function readDependencies(root: string): readonly string[] {
  const description: unknown = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  if (isRecord(description) && 'dependencies' in description && isRecord(description.dependencies)) {
    return Object.keys(description.dependencies);
  }
  return [];
}

function isRecord(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
