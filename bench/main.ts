/**
 * `npm run bench`: what is claimed about speed, measured.
 *
 * Times of an emulated machine on a shared host mean little by themselves. So what can be a ratio is one,
 * of things measured in turn in the same run, and every figure comes with its spread.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { reportError } from '../scripts/command-line.ts';
import { prepareDebianTree } from '../scripts/kbuild/debian-tree.ts';
import { cacheDir } from '../src/debian/cache-dir.ts';
import { debianDiff } from '../src/debian/debian-diff.ts';
import { debianSources } from '../src/debian/debian-sources.ts';
import { run } from '../src/process/run.ts';
import { buildBundle } from '../test/support/bundle.ts';
import { compileGuest } from '../test/support/vm/guest-program.ts';
import { Vm, type VmOptions } from '../test/support/vm/vm.ts';
import { buildEmptyStop } from './bench-module.ts';
import { benchCallCost } from './call-cost.ts';
import { type CountedUpdate, countedUpdate } from './counted-updates.ts';
import { benchCreate } from './create.ts';
import { benchHeldMemory } from './held-memory.ts';
import { parseOptions, USAGE } from './options.ts';
import { benchStart } from './start.ts';
import { spreadOf, spreadText } from './statistics.ts';
import { benchStopTable, benchStopWork, FUNCTIONS, type StopBenchOptions } from './stop-table.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const RELEASE = '6.1.0-47-cloud-amd64';
const FROM = '6.1.170-3';
const TO = '6.1.176-1';
const FILE = 'net/ipv4/ip_options.c';
const ID = 'bench';
const PAIRS = 51;
const THREADS = 200;
const STARTS = 7;
const BOOTS = 5;

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** The update that is applied. */
async function makeUpdate(work: string, cache: string): Promise<string> {
  const patch = join(work, 'fix.patch');
  const update = join(work, `${ID}.ksplice`);
  await writeFile(patch, await debianDiff(FROM, TO, { cacheDir: cache, files: [FILE] }));
  await run(['./ksplice', 'create', '--patch', patch, '--kernel', RELEASE, '--id', ID, '-o', update]);
  return update;
}

function limitText(ratios: readonly number[]): string {
  const { median } = spreadOf(ratios);
  return `${spreadText(ratios, 'times')}; limit 3: ${median <= 3 ? 'kept' : 'NOT KEPT'}`;
}

async function must(vm: Vm, command: string): Promise<number> {
  const { exitCode, ms, stderr } = await vm.run(command);
  if (exitCode !== 0) throw new Error(`${command}: exit status ${exitCode}\n${stderr}`);
  return ms / 1000;
}

/** apply again and again in one boot, when everything is in memory, beside the start of Node itself. */
async function benchApply(vm: Vm): Promise<void> {
  const starts: number[] = [];
  const applies: number[] = [];
  const undos: number[] = [];
  for (let i = 0; i < STARTS; i += 1) {
    starts.push(await must(vm, 'node -e 0'));
    applies.push(await must(vm, `ksplice apply ${ID}.ksplice`));
    undos.push(await must(vm, `ksplice undo ${ID}`));
  }
  const ratios = applies.map((value, i) => value / (starts[i] ?? Number.NaN));
  print(`start of Node in the guest, warm:  ${spreadText(starts, 's')}`);
  print(`apply, command to applied, warm:   ${spreadText(applies, 's')}`);
  print(`undo, warm:                        ${spreadText(undos, 's')}`);
  print(`apply / start of Node, warm:       ${spreadText(ratios, 'times')}`);
}

/**
 * apply, from command to applied, beside the start of Node itself: both for the first time in a boot, one after
 * the other. That is what an operator meets, who applies an update once; the limit is for this one.
 */
async function benchFirstApply(options: VmOptions): Promise<void> {
  const starts: number[] = [];
  const applies: number[] = [];
  for (let i = 0; i < BOOTS; i += 1) {
    await using vm = await Vm.boot(options);
    starts.push(await must(vm, 'node -e 0'));
    applies.push(await must(vm, `ksplice apply ${ID}.ksplice`));
  }
  const ratios = applies.map((value, i) => value / (starts[i] ?? Number.NaN));
  print(`start of Node, first in a boot:    ${spreadText(starts, 's')}`);
  print(`apply, first in a boot:            ${spreadText(applies, 's')}`);
  print(`apply / start of Node, first:      ${limitText(ratios)}`);
}

async function numberIn(vm: Vm, command: string): Promise<number> {
  const { exitCode, stdout, stderr } = await vm.run(command);
  const value = Number(stdout.trim());
  if (exitCode !== 0 || !Number.isFinite(value)) throw new Error(`${command}: ${stdout}${stderr}`);
  return value;
}

/** Our stop beside an empty one, in turn, with many threads that have to be looked at. */
async function benchStop(vm: Vm): Promise<void> {
  const sleepers = await vm.start(`exec sleepers ${THREADS}`);
  await vm.run('sleep 1');
  await vm.run('insmod /root/empty_stop.ko');
  await vm.run(`ksplice apply ${ID}.ksplice`);
  const sysfs = `/sys/kernel/ksplice/${ID}`;
  const ours: number[] = [];
  const empty: number[] = [];
  for (let i = 0; i < PAIRS; i += 1) {
    empty.push((await numberIn(vm, 'cat /sys/kernel/debug/empty_stop')) / 1e6);
    const stage = i % 2 === 0 ? 'reversed' : 'applied';
    ours.push(
      (await numberIn(vm, `echo ${stage} > ${sysfs}/stage && sed -n 's/^call_ns //p' ${sysfs}/timing`)) / 1e6,
    );
  }
  const seen = await numberIn(vm, `sed -n 's/^tasks //p' ${sysfs}/timing`);
  const slept = await numberIn(vm, `sed -n 's/^prechecked //p' ${sysfs}/timing`);
  const ratios = ours.map((value, i) => value / (empty[i] ?? Number.NaN));
  print(`stop of an update, ${seen + slept} tasks:  ${spreadText(ours, 'ms')}`);
  print(`empty stop_machine():        ${spreadText(empty, 'ms')}`);
  print(`ratio, pair by pair:         ${spreadText(ratios, 'times')}`);
  sleepers.kill('SIGKILL');
  await sleepers.wait();
}

async function benchGuest(cache: string): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'ksplice-bench-'));
  try {
    const kernel = await debianSources(RELEASE, { cacheDir: cache });
    const update = await makeUpdate(work, cache);
    const { headers } = kernel;
    const tree = await prepareDebianTree(kernel, { cacheDir: cache });
    const options: VmOptions = {
      image: kernel.image,
      cacheDir: cache,
      bundle: await buildBundle(cache),
      files: [
        { path: `/root/${ID}.ksplice`, from: update },
        { path: '/root/empty_stop.ko', contents: await buildEmptyStop(tree, headers) },
        { path: '/bin/sleepers', from: await compileGuest('sleepers', cache), mode: 0o755 },
      ],
    };
    await benchFirstApply(options);
    await using vm = await Vm.boot(options);
    await benchApply(vm);
    await benchStop(vm);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Updates of 1 to 1,000 functions, which are made once: an hour on an idle machine with an empty cache. */
async function stopOptions(cache: string): Promise<StopBenchOptions> {
  const kernel = await debianSources(RELEASE, { cacheDir: cache });
  const updates: CountedUpdate[] = [];
  for (const count of FUNCTIONS) {
    updates.push(
      await countedUpdate(count, {
        source: kernel.source,
        kernel: ['--kernel', RELEASE],
        cacheDir: cache,
        onProgress: (line) => process.stderr.write(`bench: ${line}\n`),
      }),
    );
  }
  return {
    image: kernel.image,
    cacheDir: cache,
    bundle: await buildBundle(cache),
    updates,
    emptyStop: await buildEmptyStop(await prepareDebianTree(kernel, { cacheDir: cache }), kernel.headers),
    print,
  };
}

async function main(): Promise<number> {
  try {
    const options = parseOptions(process.argv.slice(2));
    if (options === undefined) {
      print(USAGE.trimEnd());
      return 0;
    }
    const cacheHome = cacheDir(process.env);
    print(
      `${cpus().length} CPUs (${cpus()[0]?.model ?? '?'}), Node ${process.version}, kernel ${RELEASE}, guests under TCG`,
    );
    if (options.create.length > 0) {
      await benchCreate({
        root: ROOT,
        cacheDir: cacheHome,
        release: RELEASE,
        fix: { from: FROM, to: TO, file: FILE },
        parts: options.create,
        again: options.again,
        print,
      });
    }
    if (options.start) await benchStart(print);
    if (options.guest) await benchGuest(cacheHome);
    if (options.stop || options.work || options.memory) {
      const stop = await stopOptions(cacheHome);
      if (options.stop) await benchStopTable(stop);
      if (options.work) await benchStopWork(stop);
      if (options.memory) await benchHeldMemory(stop);
    }
    if (options.call) {
      const kernel = await debianSources(RELEASE, { cacheDir: cacheHome });
      const tree = await prepareDebianTree(kernel, { cacheDir: cacheHome });
      const bundle = await buildBundle(cacheHome);
      await benchCallCost({ kernel, tree, cacheDir: cacheHome, bundle, print });
    }
    return 0;
  } catch (error) {
    return reportError('bench', error);
  }
}

process.exitCode = await main();
