/** The series that adds the core to a kernel: made of the test kernel's source, and of that source with something missing. */
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { debianSources } from '../../src/debian/debian-sources.ts';
import { RefusedError } from '../../src/diagnostics/error.ts';
import { run } from '../../src/process/run.ts';
import { type Series, writeSeries } from '../../src/series/write-series.ts';
import { TEST_RELEASE, testCacheDir } from '../support/vm/test-kernel.ts';

const CORE = path.join(import.meta.dirname, '..', '..', 'core');
const AUTHOR = 'Your Name <your.name@example.org>';

let folder: string;
let source: string;
let series: Series;
const at = (...parts: readonly string[]): string => path.join(folder, ...parts);

async function write(from: string, output: string): Promise<Series> {
  return await writeSeries({ source: from, coreSources: CORE, output, author: AUTHOR, date: 0 });
}

/** A tree with only the files that the series changes, and what names the version. */
async function smallTree(target: string): Promise<string> {
  for (const file of ['Makefile', ...series.changed]) {
    await mkdir(path.dirname(path.join(target, file)), { recursive: true });
    await cp(path.join(source, file), path.join(target, file)).catch(() => undefined);
  }
  return target;
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ksplice-series-test-'));
  ({ source } = await debianSources(TEST_RELEASE, { cacheDir: testCacheDir(), parts: ['source'] }));
  series = await write(source, at('series'));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('the series', () => {
  it('applies to the source with patch, adds the core byte for byte, and leaves a trace of nothing else', async () => {
    const tree = await smallTree(at('tree'));
    for (const file of series.files.slice(1)) {
      await run(['patch', '-p1', '--fuzz=0', '-i', at('series', file)], { cwd: tree });
    }
    const names = (await readdir(CORE)).filter((name) => /\.[ch]$/.test(name));
    const standalone = ['standalone.c', 'this_module.h'];
    for (const name of names.filter((each) => !standalone.includes(each))) {
      expect(await readFile(path.join(tree, 'kernel/ksplice', name), 'utf8')).toBe(
        await readFile(path.join(CORE, name), 'utf8'),
      );
    }
    const makefile = await readFile(path.join(tree, 'kernel/ksplice/Makefile'), 'utf8');
    const objects = names.filter((name) => name.endsWith('.c') && name !== 'standalone.c');
    expect(makefile.match(/\w+\.o/g)?.toSorted()).toEqual(
      ['ksplice.o', ...objects.map((name) => name.replace('.c', '.o'))].toSorted(),
    );
  });

  it('applies with git am', async () => {
    const tree = await smallTree(at('git'));
    const git = (...argv: readonly string[]) =>
      run(['git', '-c', 'user.name=t', '-c', 'user.email=t@example.org', '-C', tree, ...argv]);
    await git('init', '--quiet');
    await git('add', '--all');
    await git('commit', '--quiet', '-m', 'Linux');
    await git('am', '--quiet', ...series.files.slice(1).map((file) => at('series', file)));
    expect((await git('status', '--porcelain')).stdout).toBe('');
  });

  it('is the same when it is made again', async () => {
    await write(source, at('again'));
    for (const file of series.files) {
      expect(await readFile(at('again', file), 'utf8')).toBe(await readFile(at('series', file), 'utf8'));
    }
  });

  it("passes the kernel's own checkpatch, each patch by itself", async () => {
    for (const file of series.files.slice(1)) {
      const argv = ['perl', path.join(source, 'scripts/checkpatch.pl'), '--strict', '--no-tree'] as const;
      const { stdout } = await run([...argv, `--root=${source}`, at('series', file)], {
        okExitCodes: [0, 1],
      });
      expect(stdout).toContain('total: 0 errors, 0 warnings, 0 checks');
    }
  });
});

describe('a kernel that the series does not fit', () => {
  it.each([
    ['kernel/rcu/tasks.h', 'DEFINE_STATIC_SRCU(tasks_rcu_exit_srcu);', '', 'rtp_exit_list'],
    ['kernel/Makefile', 'obj-y += livepatch/\n', '', "one line 'obj-y += livepatch/', found none"],
    ['arch/x86/Kconfig', 'source "kernel/livepatch/Kconfig"', '', 'kernel/livepatch/Kconfig'],
    ['kernel/stop_machine.c', 'int stop_machine_cpuslocked(', 'int renamed(', 'stop_machine_cpuslocked'],
    ['kernel/extable.c', 'DEFINE_MUTEX(text_mutex);', '', 'the definition of text_mutex, found none'],
  ])('is refused by the file and what was expected: %s', async (file, what, instead, says) => {
    const tree = await smallTree(at(`without-${path.basename(file)}`));
    const text = await readFile(path.join(tree, file), 'utf8');
    expect(text).toContain(what);
    await writeFile(path.join(tree, file), text.replace(what, instead));
    const output = `${tree}-series`;
    const refused: unknown = await write(tree, output).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(RefusedError);
    expect(String(refused)).toContain(`${file}: expected`);
    expect(String(refused)).toContain(says);
    await expect(readdir(output)).rejects.toThrow('ENOENT');
  });
});
