/**
 * The load of a tortured guest, as files: stress-ng and tcc as Debian has them, with their libraries and what they work on,
 * and programs of our own.
 */
import { stat } from 'node:fs/promises';
import { MissingError } from '../../src/diagnostics/error.ts';
import { run } from '../../src/process/run.ts';
import { compileGuest } from '../../test/support/vm/guest-program.ts';
import type { GuestFile } from '../../test/support/vm/initramfs.ts';

const DEBIAN_PROGRAMS = ['stress-ng', 'tcc'] as const;
const OWN_PROGRAMS = ['sleepers', 'tcp_witness'] as const;
/** Functions in the file that is compiled again and again: 300 KB of source, 150 KB of code. */
const FUNCTIONS = 2_000;

/** A C file without includes: what tcc does with it takes a moment, and its output is the same each time. */
export function compiledSource(): string {
  const functions = Array.from(
    { length: FUNCTIONS },
    (_, n) => `static unsigned f${n}(unsigned a, unsigned b)
{
	for (unsigned i = 0; i < b; i++)
		a = a * ${2 * n + 1}u + (i ^ ${n}u);
	return ${n === 0 ? 'a' : `a & 1 ? f${n - 1}(a, 3) : a`};
}
`,
  );
  return `${functions.join('')}unsigned last(unsigned a) { return f${FUNCTIONS - 1}(a, 5); }\n`;
}

async function debianProgram(name: string): Promise<readonly GuestFile[]> {
  const path = `/usr/bin/${name}`;
  if (!(await stat(path).catch(() => undefined))) {
    throw new MissingError('missing_tool', `${path}: not found, part of the load of a torture run`, {
      hint: `apt-get install --no-install-recommends ${name}`,
    });
  }
  const { stdout } = await run(['ldd', path]);
  const libraries = [...stdout.matchAll(/(?:=> )?(\/\S+) \(0x[0-9a-f]+\)$/gm)].map((match) => match[1] ?? '');
  return [path, ...libraries].map((file) => ({ path: file, from: file, mode: 0o755 }));
}

/** Throws MissingError for a program of Debian's that is not installed. */
export async function loadFiles(cacheDir: string): Promise<readonly GuestFile[]> {
  const debian = await Promise.all(DEBIAN_PROGRAMS.map(debianProgram));
  const own = await Promise.all(
    OWN_PROGRAMS.map(async (name) => ({
      path: `/bin/${name}`,
      from: await compileGuest(name, cacheDir),
      mode: 0o755,
    })),
  );
  // Programs share libraries; each path once.
  const files = new Map([...debian.flat(), ...own].map((file) => [file.path, file]));
  return [...files.values(), { path: '/home/user/compiled.c', contents: compiledSource() }];
}
