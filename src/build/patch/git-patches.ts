/**
 * The patch that a commit of git is: what it changes against its parent, as a mail with its subject; a range of
 * commits is one patch each, in order.
 *
 * The repository and its work tree belong to the user, and are only read. Only plumbing is called
 * (rev-parse, rev-list, diff-tree): it neither refreshes the index nor obeys the `diff.*` and `format.*` settings
 * that make everybody's `git show` look different. What it would still obey is said in full, so that the same commit
 * gives the same bytes on every machine. Filters and external diffs that a repository may ask for are not run.
 *
 * The message is indented, as `git log` does it: a diff quoted in a message must not be taken for the patch.
 *
 * A merge has no one patch (against which parent?) and is refused, alone or in a range; so is a range in which one
 * commit does not follow the other.
 */
import { realpath } from 'node:fs/promises';
import { MissingError, NoChangeError, UsageError } from '../../diagnostics/error.ts';
import { CommandError } from '../../process/command-error.ts';
import { type PatchText, type PrintedBytes, runForBytes } from './patch-text.ts';

/** Variables that point git at another repository, or change what it prints. */
const LEFT_OUT = [
  'GIT_DIR',
  'GIT_WORK_TREE',
  'GIT_INDEX_FILE',
  'GIT_COMMON_DIR',
  'GIT_NAMESPACE',
  'GIT_OBJECT_DIRECTORY',
  'GIT_PREFIX',
  'GIT_DIFF_OPTS',
  'GIT_EXTERNAL_DIFF',
] as const;

const GIT = [
  'env',
  ...LEFT_OUT.flatMap((name) => ['-u', name]),
  // A partial clone would fetch what it lacks, which is a change of the repository.
  'GIT_NO_LAZY_FETCH=1',
  'GIT_TERMINAL_PROMPT=0',
  'git',
  '--no-pager',
  '--no-optional-locks',
  '--no-replace-objects',
  '-c',
  'core.quotePath=true',
] as const;

const DIFF = [
  'diff-tree',
  '-p',
  '-r',
  '--unified=3',
  '--inter-hunk-context=0',
  '--diff-algorithm=myers',
  '--no-indent-heuristic',
  '--find-renames=50%',
  '--full-index',
  '--src-prefix=a/',
  '--dst-prefix=b/',
  '--no-relative',
  '--submodule=short',
  '--ignore-submodules=none',
  '--no-color',
  '--no-ext-diff',
  '--no-textconv',
] as const;

const FORMAT = 'commit %H%nAuthor: %an <%ae>%nSubject: %s%n%n%w(0,4,4)%b%w(0,0,0)';

/**
 * The patch of `revision` (a commit, or a range A..B) in the work tree whose top is `directory`; commits that change
 * no file give none. Throws UsageError for what is no work tree, no commit or no simple range, MissingError
 * where git is not there or will not read the repository, NoChangeError where all is empty.
 */
export async function gitPatches(
  directory: string,
  revision: string,
  signal?: AbortSignal,
): Promise<readonly PatchText[]> {
  const git = await openWorkTree(directory, signal);
  const commits = revision.includes('..')
    ? await commitsOfRange(git, revision)
    : [await resolveCommit(git, revision)];
  const patches: PatchText[] = [];
  for (const commit of commits) {
    await checkHasOneParent(git, commit, revision);
    const changes = await print(git, [...DIFF, '--no-commit-id', commit]);
    if (changes.length === 0) continue;
    const message = await print(git, [
      'diff-tree',
      '-s',
      '--no-notes',
      '--encoding=UTF-8',
      `--format=${FORMAT}`,
      commit,
    ]);
    patches.push({
      name: `${commit.slice(0, 12)}.patch`,
      bytes: Buffer.concat([Buffer.from(`${withoutEnd(message)}\n\n`), changes]),
    });
  }
  if (patches.length === 0) {
    throw new NoChangeError('no_change', `--git ${revision}: changes no file`, { details: { commits } });
  }
  return patches;
}

/** Runs git in the work tree, whatever its exit status. */
type Git = (args: readonly string[]) => Promise<PrintedBytes>;

async function openWorkTree(directory: string, signal: AbortSignal | undefined): Promise<Git> {
  const top = await realpath(directory).catch(() => undefined);
  if (top === undefined) {
    throw new UsageError('usage', `--source ${directory}: no such directory`);
  }
  const git: Git = (args) =>
    runForBytes([...GIT, ...args], {
      cwd: top,
      okExitCodes: Array.from({ length: 256 }, (_, status) => status),
      ...(signal === undefined ? {} : { signal }),
    });
  const { exitCode, stdout, stderr } = await git(['rev-parse', '--show-toplevel']);
  // env's word for it.
  if (exitCode === 127) {
    throw new MissingError('missing_tool', '--git needs git, which is not installed', {
      hint: 'apt-get install git; or give the change as --patch',
    });
  }
  if (stderr.includes('dubious ownership')) {
    throw new MissingError('command_failed', `git will not read ${top}: it belongs to another user`, {
      hint: `if you trust it: git config --global --add safe.directory ${top}`,
    });
  }
  const found = withoutEnd(stdout);
  if (exitCode !== 0 || found === '') {
    throw new UsageError('usage', `--git: ${directory} is no work tree of git`, {
      hint: 'give the change as --patch, or let --source name the checkout that has the commit',
      details: { git: stderr.trim() },
    });
  }
  if (found !== top) {
    throw new UsageError('usage', `--git: ${directory} lies in the work tree ${found}, and is not its top`, {
      hint: 'the paths of its commits are not those of a kernel source: give the change as --patch',
    });
  }
  return git;
}

async function resolveCommit(git: Git, name: string): Promise<string> {
  if (name.startsWith('-') || name.trim() === '') throw noCommit(name);
  const { exitCode, stdout } = await git(['rev-parse', '--verify', '--quiet', `${name}^{commit}`]);
  const commit = withoutEnd(stdout);
  if (exitCode !== 0 || !/^[0-9a-f]{40,64}$/.test(commit)) throw noCommit(name);
  return commit;
}

function noCommit(name: string): UsageError {
  return new UsageError('usage', `--git ${JSON.stringify(name)}: no such commit in the source tree`, {
    hint: 'a commit (a hash, a tag, a branch), or a range A..B, that `git log` knows there',
  });
}

/** The commits after A up to B, oldest first: each the child of the one before. */
async function commitsOfRange(git: Git, range: string): Promise<readonly string[]> {
  const [from, to, more] = range.split('..');
  if (from === undefined || from === '' || to === undefined || more !== undefined || /^\.|^$/.test(to)) {
    throw new UsageError('usage', `--git ${JSON.stringify(range)}: expected a commit, or a range A..B`);
  }
  const [first, last] = [await resolveCommit(git, from), await resolveCommit(git, to)];
  const text = withoutEnd(
    await print(git, ['rev-list', '--reverse', '--topo-order', '--parents', `${first}..${last}`]),
  );
  const rows = text.split('\n').map((line) => line.split(' '));
  if (text === '') {
    throw new UsageError('usage', `--git ${range}: no commit lies in it`, {
      hint: 'the older one comes first, and is not part of the range',
    });
  }
  const merge = rows.find((row) => row.length > 2);
  if (merge !== undefined) throw isMerge(range, merge[0] ?? '');
  const commits = rows.map(([commit = '']) => commit);
  const loose = rows.findIndex(([, parent], index) => index > 0 && parent !== commits[index - 1]);
  if (loose > 0) {
    throw new UsageError(
      'usage',
      `--git ${range}: ${short(commits[loose])} does not follow ${short(commits[loose - 1])}`,
      { hint: 'only a line of commits has one order: give their patches with --patch, in yours' },
    );
  }
  return commits;
}

async function checkHasOneParent(git: Git, commit: string, revision: string): Promise<void> {
  const row = withoutEnd(await print(git, ['rev-list', '--max-count=1', '--parents', commit])).split(' ');
  if (row.length > 2) throw isMerge(revision, commit);
  if (row.length < 2) {
    const shallow = withoutEnd(await print(git, ['rev-parse', '--is-shallow-repository'])) === 'true';
    throw new UsageError('usage', `--git ${revision}: ${short(commit)} has no parent to compare it with`, {
      hint: shallow
        ? 'this is a shallow clone, and ends here: git fetch --deepen=1 gets the commit before'
        : 'it is the first commit, and adds a whole tree',
    });
  }
}

function isMerge(revision: string, commit: string): UsageError {
  return new UsageError('usage', `--git ${revision}: ${short(commit)} is a merge, which has no one patch`, {
    hint: `name the commit that it merges, or give its difference: git diff ${short(commit)}^1 ${short(commit)} > fix.patch, then --patch fix.patch`,
    details: { commit },
  });
}

/** What a command that must succeed printed. Throws CommandError. */
async function print(git: Git, args: readonly string[]): Promise<Uint8Array> {
  const { exitCode, stdout, stderr } = await git(args);
  if (exitCode === 0) return stdout;
  throw new CommandError({
    argv: ['git', ...args],
    code: 'command_failed',
    reason: `exit status ${exitCode}`,
    status: exitCode,
    stderr,
  });
}

function withoutEnd(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8').trimEnd();
}

function short(commit: string | undefined): string {
  return (commit ?? '').slice(0, 12);
}
