import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Host } from './host.ts';
import { runCli } from './run-cli.ts';
import { VERSION } from './version.ts';

interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function ksplice(argv: readonly string[], changes: Partial<Host> = {}): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  const status = await runCli(argv, {
    stdout: (text) => {
      stdout += text;
    },
    stderr: {
      write: (text) => {
        stderr += text;
      },
      isTerminal: false,
      colors: false,
      columns: () => 80,
      now: () => 0,
    },
    env: {},
    cwd: '/nowhere',
    program: '/nowhere/ksplice.cjs',
    signal: new AbortController().signal,
    ...changes,
  });
  return { status, stdout, stderr };
}

/** Each command with the flags it has, in full: DESIGN.md and other people's scripts rely on them. */
const COMMANDS: readonly (readonly [string, readonly string[]])[] = [
  [
    'create',
    [
      '--patch',
      '--git',
      '--diffext',
      '--prebuild',
      '--cve',
      '--kernel',
      '--source',
      '--config',
      '--image',
      '--output',
      '--id',
      '--on',
      '--description',
      '--match',
      '--build-modules',
      '--max-units',
      '--sign',
      '--serial',
      '--passphrase-file',
      '--jobs',
      '--json',
      '--quiet',
      '--verbose',
    ],
  ],
  ['inspect', ['--html', '--image', '--modules', '--running', '--json', '--quiet', '--verbose']],
  ['apply', ['--partial', '--engine', '--wait', '--debug', '--json', '--quiet', '--verbose']],
  ['undo', ['--wait', '--debug', '--json', '--quiet', '--verbose']],
  ['view', ['--file', '--check', '--json', '--quiet', '--verbose']],
  ['key generate', ['--passphrase-file', '--json', '--quiet', '--verbose']],
  ['key public', ['--passphrase-file', '--json', '--quiet', '--verbose']],
  ['key sign', ['--key', '--serial', '--passphrase-file', '--json', '--quiet', '--verbose']],
  ['key trust', ['--name', '--json', '--quiet', '--verbose']],
  ['key revoke', ['--json', '--quiet', '--verbose']],
  ['key list', ['--json', '--quiet', '--verbose']],
  ['uname', ['--json', '--quiet', '--verbose']],
  ['metrics', ['--output', '--json', '--quiet', '--verbose']],
  ['doctor', ['--for', '--json', '--quiet', '--verbose']],
  ['debian sources', ['--json', '--quiet', '--verbose']],
  ['debian diff', ['--file', '--quiet', '--verbose']],
  ['cache list', ['--json', '--quiet', '--verbose']],
  ['cache prune', ['--older-than', '--kernel', '--all', '--dry-run', '--json', '--quiet', '--verbose']],
];

describe('help', () => {
  it('of the program names every command, the exit codes and an example', async () => {
    const { status, stdout, stderr } = await ksplice(['--help']);
    expect(status).toBe(0);
    expect(stderr).toBe('');
    for (const word of ['create', 'apply', 'undo', 'view', 'debian', 'EXIT STATUS', 'EXAMPLE', '--version']) {
      expect(stdout).toContain(word);
    }
  });

  it.for(COMMANDS)(
    'of %s explains exactly its flags, with exit codes and an example',
    async ([command, flags]) => {
      const { status, stdout } = await ksplice([...command.split(' '), '--help']);
      expect(status).toBe(0);
      const [, list = ''] = stdout.split('\nFLAGS\n');
      const documented = list.split('\n').flatMap((line) => {
        const found = /^[ -]\S* {1,3}\[?(--[a-z-]+)\]?\S* {2,}\S/.exec(line.replace(/^ {2}/, ''));
        return found?.[1] === undefined ? [] : [found[1]];
      });
      expect(documented.toSorted()).toEqual([...flags, '--help'].toSorted());
      expect(stdout).toMatch(/EXIT STATUS\n {2}0 +done\n/);
      expect(stdout).toMatch(new RegExp(`EXAMPLE\n  (?:sudo )?ksplice ${command}`));
      expect((await ksplice([...command.split(' '), '-h'])).stdout).toBe(stdout);
    },
  );

  it('has the version beside it', async () => {
    expect((await ksplice(['--version'])).stdout).toBe(`ksplice ${VERSION}\n`);
  });
});

describe('usage errors', () => {
  it.for<readonly [readonly string[], string]>([
    [[], 'a command is missing'],
    [['debian'], 'a command is missing'],
    [['aply'], 'did you mean apply?'],
    [['create'], 'a patch is missing: --patch FILE, --git COMMIT, --diffext EXT or --prebuild'],
    [['create', '--patch', 'x', '--git', 'y'], '--patch and --git: only one of them'],
    [['create', '--diffext', '.new', '--prebuild'], '--diffext and --prebuild: only one of them'],
    [['create', '--git', 'HEAD', '--kernel', 'r'], '--git needs --source'],
    [['create', '--diffext', '.new'], '--diffext needs --source'],
    [['create', '--prebuild', '--cve', 'CVE-2026-53249'], '--cve: --prebuild makes no update'],
    [['create', '--prebuild', '-o', 'x'], '--output: --prebuild makes no update'],
    [['create', '--patch', 'x', '--cve', '2026-53249'], '--cve "2026-53249": expected CVE-YEAR-NUMBER'],
    [['create', '--git', 'a', '--git', 'b'], '--git: given twice'],
    [['create', '--patch'], '--patch: a value is expected'],
    [['create', '--patch', 'x', 'y'], 'unexpected argument "y"'],
    [['create', '--patsh', 'x'], 'did you mean --patch?'],
    [['create', '--patch', 'x', '--jobs', '0'], '--jobs "0": expected a number'],
    [['create', '--patch', 'x', '--jobs', 'many'], '--jobs "many": expected a number'],
    [['create', '--patch', 'x', '--id', 'a', '--id', 'b'], '--id: given twice'],
    [['create', '--patch', 'x', '--kernel', 'r', '--source', 'd'], '--kernel and --source'],
    [['create', '--patch', 'x', '--source', 'd'], '--source needs --config'],
    [['create', '--patch', 'x', '--config', 'c'], '--config needs --source'],
    [['create', '--patch', 'x', '--image', 'c'], '--image needs --source'],
    [['apply'], 'FILE: an argument is missing'],
    [['apply', '/nowhere/x.ksplice'], '/nowhere/x.ksplice: cannot be read (ENOENT)'],
    [['inspect'], 'FILE: an argument is missing'],
    [['inspect', 'x', '--modules', 'd'], '--modules goes with --image'],
    [['inspect', 'x', '--image', 'i', '--running'], '--running and --image: only one of them'],
    [['inspect', '/nowhere/x.ksplice'], '/nowhere/x.ksplice: cannot be read (ENOENT)'],
    [['undo'], 'ID: an argument is missing'],
    [['view', 'a', 'b'], 'unexpected argument "b"'],
    [['view', 'a', '--file', 'b'], 'an ID or --file, not both'],
    [['view', '--check', '--file', 'b'], '--check judges what is applied'],
    [['create', '--patch', 'x', '--sign', '/nowhere/key'], 'cannot read /nowhere/key'],
    [['create', '--patch', 'x', '--serial', '7'], '--serial goes with a key to sign with'],
    [['create', '--prebuild', '--sign', 'x'], '--sign: --prebuild makes no update'],
    [['key'], 'a command is missing'],
    [['key', 'sign', 'x.ksplice'], '--key: a value is expected'],
    [['key', 'sign', 'x.ksplice', '--key', 'k', '--serial', '0'], '--serial "0": expected a number from 1'],
    [['key', 'generate', '/nowhere/key'], 'cannot write /nowhere/key.pem'],
    [['key', 'trust', '/nowhere/key.pem'], 'cannot read /nowhere/key.pem'],
    [['cache', 'prune', '--older-than', 'x'], '--older-than "x": expected a number of days'],
    [['cache', 'prune', '--all', '--kernel', 'r'], '--all leaves nothing'],
    [['debian', 'diff', '6.1.170-3'], 'TO: an argument is missing'],
  ])('%j: exit 64', async ([argv, message]) => {
    const { status, stdout, stderr } = await ksplice(argv);
    expect(status).toBe(64);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^(?:\[ .*\n)*ksplice: /);
    expect(stderr).toContain(message);
  });

  // Flags that DESIGN.md gives to later versions, and negated ones that nobody asked for.
  it.for([
    ['create', '--no-json'],
    ['create', '--noJson'],
    ['apply', '--no-debug'],
    ['undo', '--partial'],
    ['view', '--html'],
    ['debian', '--json'],
    ['debian', 'diff', '--json'],
    ['create', '-x'],
  ])('%j is unknown: exit 64', async (argv) => {
    const { status, stdout, stderr } = await ksplice(argv);
    expect(status).toBe(64);
    expect(stdout + stderr).toContain('unknown');
  });

  it('takes what follows -- as an argument', async () => {
    const { stderr } = await ksplice(['apply', '--', '--json']);
    expect(stderr).toContain('ksplice: --json: cannot be read');
  });
});

describe('under --json', () => {
  it.for<readonly string[]>([
    ['create', '--json', '--bogus'],
    ['apply', '--json'],
    ['apply', '--json', '/nowhere/x.ksplice'],
    ['view', '--json', '--file', '/nowhere/x.ksplice'],
  ])('%j gives an error object, and nothing else, on standard output', async (argv) => {
    const { status, stdout, stderr } = await ksplice(argv);
    expect(status).toBe(64);
    const error: unknown = JSON.parse(stdout);
    expect(error).toMatchObject({ code: 'usage', message: expect.any(String), hint: expect.any(String) });
    expect(stderr).not.toContain('ksplice: ');
  });

  it('gives the result as one object', async () => {
    const { status, stdout } = await ksplice(['view', '--json']);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ updates: [], elsewhere: [], core: null });
  });
});

describe('view --check', () => {
  it('is one line for a monitor, and its exit status is the verdict', async () => {
    expect(await ksplice(['view', '--check'])).toMatchObject({
      status: 0,
      stdout: 'KSPLICE OK - no updates applied | applied=0 preparing=0 reversed=0 installed=0\n',
    });
    const missing = await ksplice(['view', '--check', 'fix']);
    expect(missing).toMatchObject({ status: 2, stderr: '' });
    expect(missing.stdout).toMatch(/^KSPLICE CRITICAL - fix is not applied \|/);
    const { status, stdout } = await ksplice(['view', '--check', 'fix', '--json']);
    expect(status).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ status: 2, state: 'CRITICAL' });
  });
});

describe('under --quiet', () => {
  it('errors and what is asked for stay, and nothing tells of progress', async () => {
    const { status, stdout, stderr } = await ksplice(['apply', '-q', '/nowhere/x.ksplice']);
    expect({ status, stdout }).toEqual({ status: 64, stdout: '' });
    expect(stderr).toMatch(/^ksplice: \/nowhere\/x.ksplice: cannot be read \(ENOENT\)\n/);
    expect((await ksplice(['apply', '/nowhere/x.ksplice'])).stderr).toContain('checking /nowhere/x.ksplice');
    expect((await ksplice(['view', '--quiet'])).stdout).toBe('no updates\n');
  });

  it('what was done is not told, but to a program', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'quiet-'));
    try {
      expect(await ksplice(['key', 'generate', join(directory, 'a'), '-q'])).toMatchObject({
        status: 0,
        stdout: '',
        stderr: '',
      });
      const { stdout } = await ksplice(['key', 'generate', join(directory, 'b'), '-q', '--json']);
      expect(JSON.parse(stdout)).toMatchObject({ public: join(directory, 'b.pem') });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe('after a signal', () => {
  it.for<readonly [string, number]>([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ])('%s: exit %d, whatever the command threw', async ([signal, expected]) => {
    const { status, stdout } = await ksplice(['apply', '--json', '/nowhere/x.ksplice'], {
      signal: AbortSignal.abort(signal),
    });
    expect(status).toBe(expected);
    expect(JSON.parse(stdout)).toMatchObject({ code: 'interrupted' });
  });
});

describe('what nobody expected', () => {
  it('exits with 70, asks for a report, and shows where with -v', async () => {
    const env = new Proxy<Record<string, string>>(
      {},
      {
        get: () => {
          throw new TypeError('no such thing');
        },
      },
    );
    const { status, stderr } = await ksplice(['debian', 'sources', 'x', '-v'], { env });
    expect(status).toBe(70);
    expect(stderr).toContain('no such thing');
    expect(stderr).toContain('report');
    expect(stderr).toContain('cache-dir.ts');
  });
});
