/**
 * `npm run corpus`: a whole update of Debian's kernel, taken apart into the changes of its C files, each made into an
 * update by itself; and docs/coverage.md, which says what came of them.
 *
 * Nobody chose these patches for us, so they show what ours cannot do. Everything is kept in the cache, under `corpus/`:
 * for each file its patch, its update, and what the program said.
 */
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import path from 'node:path';
import { mapLimited } from '../src/build/map-limited.ts';
import { cacheDir } from '../src/debian/cache-dir.ts';
import { debianDiff } from '../src/debian/debian-diff.ts';
import { debianSources } from '../src/debian/debian-sources.ts';
import { formatDuration } from '../src/report/format.ts';
import { reportError } from './command-line.ts';
import { measuredPart, replaceMeasured } from './corpus/coverage-page.ts';
import { createStage } from './corpus/create-stage.ts';
import { freezeTool } from './corpus/frozen-tool.ts';
import { findMembers, type Member } from './corpus/members.ts';
import { type CorpusOptions, parseOptions, USAGE } from './corpus/options.ts';
import { type FilePatch, splitReleaseDiff } from './corpus/release-patches.ts';
import { type MemberRecords, recallMember, runMember, type StageReport } from './corpus/run-member.ts';
import { outcomeOf, type Stage, type StageContext } from './corpus/stage.ts';
import { type StageSummary, summarize, summaryText } from './corpus/summary.ts';
import { prepareDebianTree } from './kbuild/debian-tree.ts';

const RELEASE = '6.1.0-47-cloud-amd64';
const FROM = '6.1.170-3';
const TO = '6.1.176-1';
const PAGE = 'docs/coverage.md';

/** In this order; each works on what the one before it left. */
const STAGES: readonly Stage[] = [createStage];

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
  readonly patches: readonly FilePatch[];
  readonly members: readonly Member[];
  readonly contextOf: (member: Member) => StageContext;
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
  const contextOf = (member: Member): StageContext => ({
    member,
    release: kernel.release,
    tool,
    directory: path.join(work, 'files', member.patch.file),
    signal,
  });
  return { commit, patches, members, contextOf };
}

/** `[  7/392] net/ipv4/tcp.c: updates made: 2 functions, 312.0 KB, 4.1 s` */
function progressLine(done: string, file: string, { stage, record, earlier }: StageReport): string {
  const { title } = outcomeOf(stage, record.outcome);
  const before =
    earlier === undefined || earlier.outcome === record.outcome ? '' : ` (before: ${earlier.outcome})`;
  const text = record.text === '' ? '' : `: ${record.text}`;
  return `[${done}] ${file}: ${title}${text}, ${formatDuration(record.seconds * 1000)}${before}`;
}

async function runCorpus(corpus: Corpus, options: CorpusOptions): Promise<readonly MemberRecords[]> {
  const { members, contextOf } = corpus;
  const total = String(members.length);
  let ended = 0;
  return await mapLimited(members, options.jobs, async (member) => {
    const lines: StageReport[] = [];
    const onStage = (report: StageReport): void => {
      lines.push(report);
    };
    const records = await runMember(STAGES, contextOf(member), { again: options.again, onStage });
    ended += 1;
    const done = `${String(ended).padStart(total.length)}/${total}`;
    for (const line of lines) print(progressLine(done, member.patch.file, line));
    return records;
  });
}

async function listCorpus({ members, contextOf }: Corpus): Promise<void> {
  for (const member of members) {
    const last = [...(await recallMember(STAGES, contextOf(member)))].at(-1);
    const known = last === undefined ? 'not done' : `${last[0]}: ${last[1].outcome}: ${last[1].text}`;
    print(`${member.patch.file}: ${known}`);
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
  if (options.list) {
    await listCorpus(corpus);
    return 0;
  }
  const summary = summarize(STAGES, await runCorpus(corpus, options));
  process.stdout.write(`\n${summaryText(summary)}`);
  if (options.only.length === 0 && corpus.members.length < options.limit) {
    await writePage(corpus, summary);
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
  } else {
    process.exitCode = reportError('corpus', error);
  }
}
