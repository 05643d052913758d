/**
 * `npm run corpus`: a whole update of Debian's kernel, taken apart into the changes of its C files. Each is made into
 * an update by itself, checked, applied in a guest and undone; docs/coverage.md says what came of them.
 *
 * Nobody chose these patches for us, so they show what ours cannot do. Everything is kept in the cache, under `corpus/`:
 * for each file its patch, its update, and what the program said.
 */
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import path from 'node:path';
import { cacheDir } from '../src/debian/cache-dir.ts';
import { debianDiff } from '../src/debian/debian-diff.ts';
import { type DebianKernel, debianSources } from '../src/debian/debian-sources.ts';
import { counted } from '../src/report/format.ts';
import { LostVmError } from '../test/support/vm/lost-vm-error.ts';
import { reportError } from './command-line.ts';
import { ApplyGuest } from './corpus/apply-guest.ts';
import { applyStage } from './corpus/apply-stage.ts';
import { checkStage } from './corpus/check-stage.ts';
import { measuredPart, replaceMeasured } from './corpus/coverage-page.ts';
import { createStage } from './corpus/create-stage.ts';
import { type FrozenTool, freezeTool } from './corpus/frozen-tool.ts';
import { GuestPool } from './corpus/guest-pool.ts';
import { findMembers, type Member } from './corpus/members.ts';
import { moduleTree } from './corpus/module-tree.ts';
import { type CorpusOptions, parseOptions, STAGE_NAMES, USAGE } from './corpus/options.ts';
import { type FilePatch, splitReleaseDiff } from './corpus/release-patches.ts';
import { nextStage } from './corpus/run-member.ts';
import { recallMembers, runStages } from './corpus/run-stages.ts';
import type { Stage, StageContext } from './corpus/stage.ts';
import { type MemberResult, type StageSummary, summarize, summaryText } from './corpus/summary.ts';
import { prepareDebianTree } from './kbuild/debian-tree.ts';

const RELEASE = '6.1.0-47-cloud-amd64';
const FROM = '6.1.170-3';
const TO = '6.1.176-1';
const PAGE = 'docs/coverage.md';

/** Updates that share a guest before it is replaced. */
const UPDATES_IN_A_GUEST = 25;

const root = path.resolve(import.meta.dirname, '..');

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** The difference of the two versions takes most of a minute, and is the same every time. */
async function releaseDiff(work: string, cache: string, signal: AbortSignal): Promise<string> {
  const file = path.join(work, 'release.patch');
  const known = await readFile(file, 'utf8').catch(() => undefined);
  if (known !== undefined) {
    return known;
  }
  const diff = await debianDiff(FROM, TO, { cacheDir: cache, onProgress: print, signal });
  await writeFile(`${file}.new`, diff);
  await rename(`${file}.new`, file);
  return diff;
}

interface Corpus {
  /** Of the checkout when the program was built: it may be worked on while the corpus runs. */
  readonly commit: string;
  readonly tool: FrozenTool;
  readonly kernel: DebianKernel;
  readonly patches: readonly FilePatch[];
  readonly members: readonly Member[];
  /** For each of the members. */
  readonly contexts: readonly StageContext[];
}

async function openCorpus(options: CorpusOptions, signal: AbortSignal): Promise<Corpus> {
  const cache = cacheDir(process.env);
  const work = path.join(cache, 'corpus', `${FROM}..${TO}`);
  await mkdir(work, { recursive: true });

  // The program, and a tree of the kernel that it makes updates for.
  const commit = commitOf();
  const tool = await freezeTool(root, path.join(cache, 'corpus', 'tools'));
  const kernel = await debianSources(RELEASE, { cacheDir: cache, version: FROM, onProgress: print, signal });
  const tree = await prepareDebianTree(kernel, { cacheDir: cache, onProgress: print, signal });

  // What the release changes, file by file, and which of it is in this kernel.
  const patches = splitReleaseDiff(await releaseDiff(work, cache, signal));
  const wanted = patches.filter(
    ({ file }) => options.only.length === 0 || options.only.some((pattern) => pattern.test(file)),
  );
  const members = (await findMembers(tree, wanted, signal)).slice(0, options.limit);
  const contexts = members.map((member) => ({
    member,
    kernel,
    tool,
    directory: path.join(work, 'files', member.patch.file),
    signal,
  }));
  return { commit, tool, kernel, patches, members, contexts };
}

/** Boots none before it is asked for one; all end when the run is interrupted. */
function openGuests({ tool, kernel }: Corpus, signal: AbortSignal): GuestPool<ApplyGuest> {
  let modules: ReturnType<typeof moduleTree> | undefined;
  const boot = async (): Promise<ApplyGuest> => {
    signal.throwIfAborted();
    modules ??= moduleTree(kernel);
    const cache = cacheDir(process.env);
    return await ApplyGuest.boot({ kernel, cacheDir: cache, bundle: tool.argv[1], modules: await modules });
  };
  const guests = new GuestPool(boot, UPDATES_IN_A_GUEST);
  signal.addEventListener('abort', () => void guests.close());
  return guests;
}

async function runCorpus(
  stages: readonly Stage[],
  { contexts }: Corpus,
  options: CorpusOptions,
): Promise<readonly MemberResult[]> {
  const wanted = STAGE_NAMES.filter((name) => options.stages.has(name));
  return await runStages(stages, contexts, {
    atOnce: new Map(wanted.map((name) => [name, name === 'apply' ? options.guests : options.jobs])),
    again: options.again,
    onProgress: print,
  });
}

async function listCorpus(stages: readonly Stage[], { contexts }: Corpus): Promise<void> {
  for (const { file, records } of await recallMembers(stages, contexts)) {
    const last = [...records].at(-1);
    const known = last === undefined ? 'not done' : `${last[0]}: ${last[1].outcome}: ${last[1].text}`;
    print(`${file}: ${known}`);
  }
}

function git(...args: readonly string[]): string {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
}

function commitOf(): string {
  const changed = git('status', '--porcelain', '--', 'src', 'core', 'package-lock.json');
  return `${git('rev-parse', '--short=12', 'HEAD')}${changed === '' ? '' : ', and changes that are not committed'}`;
}

function machineText(): string {
  const processors = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `a machine with ${processors.length} processors (${processors[0]?.model.trim() ?? 'of unknown kind'}), ${memory} GB of memory and Node ${process.version}`;
}

async function writePage(
  { commit, patches, members }: Corpus,
  summary: readonly StageSummary[],
): Promise<void> {
  const file = path.join(root, PAGE);
  const measured = measuredPart(
    {
      date: new Date().toISOString().slice(0, 10),
      commit,
      machine: machineText(),
      release: RELEASE,
      from: FROM,
      to: TO,
      changedFiles: patches.filter((patch) => patch.file.endsWith('.c')).length,
      includedFiles: members.filter(({ kind }) => kind === 'included').length,
      files: members.length,
    },
    summary,
  );
  await writeFile(file, replaceMeasured(await readFile(file, 'utf8'), measured));
  print(`${PAGE}: written`);
}

async function main(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const options = parseOptions(argv);
  if (options === undefined) {
    process.stdout.write(USAGE);
    return 0;
  }
  const corpus = await openCorpus(options, signal);
  await using guests = openGuests(corpus, signal);
  const stages = [createStage, checkStage, applyStage(guests)];
  if (options.list) {
    await listCorpus(stages, corpus);
    return 0;
  }
  const results = await runCorpus(stages, corpus, options);
  const summary = summarize(stages, results);
  process.stdout.write(`\n${summaryText(summary)}`);
  if (options.only.length === 0 && corpus.members.length < options.limit) {
    const unfinished = results.filter(({ records }) => nextStage(stages, records) !== undefined);
    if (unfinished.length === 0) await writePage(corpus, summary);
    else print(`${PAGE}: not written: ${counted(unfinished.length, 'file')} did not come to an end yet`);
  }
  const isBroken = summary.some(({ outcomes }) => outcomes.some(({ isBug, files }) => isBug && files > 0));
  return isBroken ? 70 : 0;
}

const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    interruption.abort();
  });
}
try {
  process.exitCode = await main(process.argv.slice(2), interruption.signal);
} catch (error) {
  if (interruption.signal.aborted) {
    process.stderr.write('corpus: interrupted; run it again to go on\n');
    process.exitCode = 130;
  } else if (error instanceof LostVmError) {
    // One that did not come up: what dies later is a result.
    process.stderr.write(`corpus: ${error.message}\ncorpus: run it again to go on\n`);
    process.exitCode = 70;
  } else {
    process.exitCode = reportError('corpus', error);
  }
}
