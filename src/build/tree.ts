/**
 * Prepares a kernel's source for compiling single units of it.
 *
 * A unit can be compiled once the configuration, the generated headers and a few host tools (objtool
 * above all) exist: kbuild's targets `prepare` and `scripts`. That takes most of a minute and depends on
 * the source and its configuration only, so it is kept in the cache, one directory for each combination,
 * and done once. (`modules_prepare` would add only the linker script for whole .ko files; build-module.ts makes
 * that when it is needed.)
 *
 * Each step leaves a stamp; a run that was interrupted goes on where it stopped. A lock lets one process
 * at a time call make in a build directory.
 */

import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { MissingError, UsageError } from '../diagnostics/error.ts';
import { CommandError } from '../process/command-error.ts';
import { withFileLock } from '../process/file-lock.ts';
import type { OnProgress } from '../process/on-progress.ts';
import { writeWhole } from '../process/write-whole.ts';
import { type Distribution, type KbuildDirs, runKbuild } from './kbuild.ts';
import { compareConfigs, describeDifference, type KernelConfig, parseConfig } from './kernel-config.ts';
import { findBuildTools } from './required-tools.ts';
import { inspectSourceTree, refuseOddPath } from './source-tree.ts';
import { refuseUnsupportedConfig } from './unsupported-config.ts';

export interface PrepareOptions {
  /** The kernel's source tree; never written to. */
  readonly source: string;
  /** The file with its configuration (`/boot/config-*`). */
  readonly config: string;
  /** `uname -r` of the kernel. */
  readonly release: string;
  /** Where prepared trees are kept. */
  readonly cacheDir: string;
  /** Whose package it is; undefined for a kernel that is nobody's. */
  readonly distribution?: Distribution | undefined;
  /** The kernel's Module.symvers, or the directory that has it (`/usr/src/linux-headers-*`). */
  readonly symvers?: string;
  readonly jobs: number;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** A source tree with everything that compiling one unit needs. */
export interface PreparedTree extends KbuildDirs {
  /** The compiler's version text: `gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0`. */
  readonly compiler: string;
  /** Names this combination of source, configuration, release and compiler. */
  readonly key: string;
  readonly config: KernelConfig;
  readonly symvers: string | undefined;
  /** Differences between the given configuration and this machine's that may matter. */
  readonly notes: readonly string[];
  /** Take this lock around make. */
  readonly lockFile: string;
  /** make's output, appended. */
  readonly logFile: string;
}

/** Raised when prepared trees of older versions of this program must not be used any more. */
const LAYOUT = 1;

/**
 * Prepares (or finds prepared) the tree that `options` describe.
 * Throws UsageError for a source or configuration that is none, RefusedError for a configuration under
 * which objects are not final, MissingError for tools, compiler
 * versions and options that this machine cannot serve.
 */
export async function prepareTree(options: PrepareOptions): Promise<PreparedTree> {
  const configText = await readFile(options.config, 'utf8').catch((cause: unknown) => {
    throw new UsageError('usage', `cannot read the configuration ${options.config}`, { cause });
  });
  const given = parseConfig(configText);
  if (given.get('X86_64') !== 'y') {
    throw new UsageError('usage', `${options.config} is not the configuration of an x86-64 kernel`);
  }
  refuseUnsupportedConfig(given, options.config);
  const source = await inspectSourceTree(options.source);
  const compiler = await findBuildTools(given);
  const key = createHash('sha256')
    .update(JSON.stringify([LAYOUT, source, configText, options.release, options.distribution, compiler]))
    .digest('hex')
    .slice(0, 16);
  const buildDir = path.join(path.resolve(options.cacheDir), 'build', key);
  refuseOddPath(buildDir);
  const tree = {
    source: source.root,
    buildDir,
    release: options.release,
    cc: compiler.command,
    distribution: options.distribution,
    compiler: compiler.version,
    key,
    symvers: options.symvers,
    lockFile: path.join(buildDir, '.ksplice', 'lock'),
    logFile: path.join(buildDir, '.ksplice', 'make.log'),
  };
  const stamp = path.join(buildDir, '.ksplice', 'prepared');
  if (!(await exists(stamp))) {
    await withFileLock(
      tree.lockFile,
      async () => {
        if (await exists(stamp)) return;
        await configure(tree, options, given);
        options.onProgress?.(`preparing linux ${source.version} (headers and tools, once for this kernel)`);
        await prepare(tree, options);
        await writeWhole(stamp, `${options.release}\n`);
      },
      {
        wait: true,
        busyCode: 'apply_in_progress',
        onWait: () => options.onProgress?.('waiting for another ksplice that prepares the same kernel'),
        signal: options.signal,
      },
    );
  }
  const here = parseConfig(await readFile(path.join(buildDir, '.config'), 'utf8'));
  const notes = compareConfigs(given, here)
    .filter((difference) => difference.kind !== 'harmless')
    .map(describeDifference);
  return { ...tree, config: here, notes };
}

type Dirs = KbuildDirs & { readonly logFile: string };

/** Puts the configuration in place and lets kbuild complete it; what it loses is an error. */
async function configure(tree: Dirs, options: PrepareOptions, given: KernelConfig): Promise<void> {
  const stamp = path.join(tree.buildDir, '.ksplice', 'configured');
  if (await exists(stamp)) return;
  options.onProgress?.('configuring');
  const config = path.join(tree.buildDir, '.config');
  await mkdir(path.dirname(stamp), { recursive: true });
  await copyFile(options.config, config);
  await runStep(tree, ['olddefconfig'], options);
  const here = parseConfig(await readFile(config, 'utf8'));
  const lost = compareConfigs(given, here).filter((difference) => difference.kind === 'lost');
  if (lost.length > 0) {
    const described = lost.map(describeDifference);
    throw new MissingError(
      'missing_tool',
      `this source and machine cannot serve the configuration ${options.config}: ${described.slice(0, 5).join('; ')}${described.length > 5 ? `; and ${described.length - 5} more` : ''}`,
      {
        hint: 'the source must be of the same version as the configuration, and tools that it asks for (pahole, rustc, gcc plugins) installed',
        details: { options: described },
      },
    );
  }
  await writeWhole(stamp, '');
}

/**
 * The configuration is used as it is, debug information included. Switching that off would be quicker, but
 * CONFIG_DEBUG_INFO_BTF decides about code (include/linux/btf_ids.h, struct module), and so does not
 * having it. Units are compiled with -g0 instead, which changes no code.
 */
async function prepare(tree: Dirs, options: PrepareOptions): Promise<void> {
  await runStep(tree, ['prepare', 'scripts'], options);
}

async function runStep(tree: Dirs, targets: readonly string[], options: PrepareOptions): Promise<void> {
  try {
    await runKbuild(tree, targets, {
      jobs: options.jobs,
      logFile: tree.logFile,
      onLine: (line) => {
        if (!/^make(?:\[\d+\])?: /.test(line)) options.onProgress?.(line, 'detail');
      },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
  } catch (error) {
    if (!(error instanceof CommandError) || error.code !== 'command_failed') throw error;
    const line = error.stderrTail.find((one) => /error|not found|\*\*\*/i.test(one)) ?? error.message;
    throw new MissingError(
      'missing_tool',
      `make ${targets.join(' ')} failed for ${tree.source}: ${line.trim()}`,
      {
        hint: `the whole output is in ${tree.logFile}`,
        details: { stderr: error.stderrTail },
        cause: error,
      },
    );
  }
}

async function exists(file: string): Promise<boolean> {
  return readFile(file).then(
    () => true,
    () => false,
  );
}
