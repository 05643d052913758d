/**
 * What a machine needs to prepare and compile a kernel's units, checked before anything is started: one
 * error that names all that is missing beats a build that stops at the first, a minute in.
 */
import { access, constants } from 'node:fs/promises';
import path from 'node:path';
import { MissingError } from '../diagnostics/error.ts';
import { run } from '../process/run.ts';
import { inCleanEnvironment } from './kbuild.ts';
import type { KernelConfig } from './kernel-config.ts';

interface Tool {
  readonly command: string;
  /** The Debian package that has it. */
  readonly package: string;
}

const tools: readonly Tool[] = [
  { command: 'make', package: 'make' },
  { command: 'patch', package: 'patch' },
  { command: 'flex', package: 'flex' },
  { command: 'bison', package: 'bison' },
  { command: 'bc', package: 'bc' },
  { command: 'ld', package: 'binutils' },
  { command: 'as', package: 'binutils' },
  { command: 'nm', package: 'binutils' },
  { command: 'objcopy', package: 'binutils' },
  { command: 'perl', package: 'perl' },
  { command: 'flock', package: 'util-linux' },
  { command: 'find', package: 'findutils' },
  { command: 'grep', package: 'grep' },
];

/** Headers that host tools include: objtool and resolve_btfids, and the signing tools in scripts/. */
const headers = [
  { header: 'gelf.h', package: 'libelf-dev' },
  { header: 'zlib.h', package: 'zlib1g-dev' },
  { header: 'openssl/opensslv.h', package: 'libssl-dev' },
  { header: 'stdio.h', package: 'libc6-dev' },
] as const;

/** The compiler that a configuration was made with. */
export interface Compiler {
  /** Command: `gcc-12`. */
  readonly command: string;
  /** `gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0`. */
  readonly version: string;
}

/**
 * Finds the very compiler that `config` names, and everything else that a build needs.
 * Throws MissingError `missing_tool` with the Debian packages to install, or with both versions.
 */
export async function findBuildTools(config: KernelConfig): Promise<Compiler> {
  const wanted = config.get('CC_VERSION_TEXT')?.replace(/^"|"$/g, '');
  const command = wanted === undefined ? undefined : /^\S+/.exec(wanted)?.[0];
  if (wanted === undefined || command === undefined) {
    throw new MissingError('missing_tool', 'the configuration does not say which compiler it was made with', {
      hint: 'CONFIG_CC_VERSION_TEXT is missing: is this the /boot/config-* of the kernel?',
    });
  }
  if (config.get('CC_IS_GCC') !== 'y') {
    throw new MissingError('missing_tool', `the kernel was compiled by ${wanted}: only gcc is supported`);
  }
  const absent = await missingTools([...tools, ...conditionalTools(config), compilerTool(command)]);
  if (!absent.some((tool) => tool.command === command)) {
    await checkVersion(command, wanted);
    absent.push(...(await missingHeaders(command)));
  }
  if (absent.length > 0) {
    const packages = [...new Set(absent.map((tool) => tool.package))];
    throw new MissingError(
      'missing_tool',
      `needed to compile kernel code, and not installed: ${absent.map((tool) => tool.command).join(', ')}`,
      { hint: `apt-get install ${packages.join(' ')}`, details: { packages } },
    );
  }
  return { command, version: wanted };
}

/** `gcc-12` is in a package of that name. */
function compilerTool(command: string): Tool {
  return { command, package: command };
}

/** Without pahole, kbuild would drop CONFIG_DEBUG_INFO_BTF, which the code asks for. */
function conditionalTools(config: KernelConfig): readonly Tool[] {
  return config.get('DEBUG_INFO_BTF') === 'y' ? [{ command: 'pahole', package: 'pahole' }] : [];
}

async function missingTools(list: readonly Tool[]): Promise<Tool[]> {
  const directories = (process.env['PATH'] ?? '').split(':').filter((directory) => directory !== '');
  const missing: Tool[] = [];
  for (const tool of list) {
    const found = await Promise.all(
      directories.map((directory) =>
        access(path.join(directory, tool.command), constants.X_OK).then(
          () => true,
          () => false,
        ),
      ),
    );
    if (!found.includes(true)) missing.push(tool);
  }
  return missing;
}

async function checkVersion(command: string, wanted: string): Promise<void> {
  const { stdout } = await run([command, '--version']);
  const found = stdout.split('\n')[0] ?? '';
  if (found === wanted) return;
  throw new MissingError('missing_tool', `the kernel was compiled by ${wanted}, here is ${found}`, {
    hint: 'only the same compiler makes the same code: install that version, or use a machine or container that has it',
    details: { wanted, found },
  });
}

async function missingHeaders(command: string): Promise<readonly Tool[]> {
  const missing: Tool[] = [];
  for (const { header, package: name } of headers) {
    const { exitCode } = await run(inCleanEnvironment([command, '-E', '-x', 'c', '-o', '/dev/null', '-']), {
      input: `#include <${header}>\n`,
      okExitCodes: [0, 1],
    });
    if (exitCode !== 0) missing.push({ command: header, package: name });
  }
  return missing;
}
