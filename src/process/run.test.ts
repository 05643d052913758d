import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { CommandError } from './command-error.ts';
import { type RunOptions, run } from './run.ts';

async function failureOf(argv: readonly [string, ...string[]], options?: RunOptions): Promise<CommandError> {
  const outcome = await run(argv, options).catch((error: unknown) => error);
  if (!(outcome instanceof CommandError)) {
    throw new Error(`expected a CommandError, got ${String(outcome)}`);
  }
  return outcome;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A zombie still answers; in a container nobody may reap it.
    return !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

describe('run', () => {
  it('returns what the command printed and its exit status', async () => {
    const result = await run(['sh', '-c', 'echo out; echo err >&2; exit 3'], { okExitCodes: [0, 3] });
    expect(result).toEqual({ exitCode: 3, stdout: 'out\n', stderr: 'err\n' });
  });

  it('passes arguments as they are, never through a shell', async () => {
    const { stdout } = await run(['printf', '%s|', '$HOME', 'a b', "it's", '; exit 1']);
    expect(stdout).toBe("$HOME|a b|it's|; exit 1|");
  });

  it('sets LC_ALL=C, adds env, runs in cwd and feeds input', async () => {
    const { stdout } = await run(['sh', '-c', 'echo $LC_ALL $ADDED; pwd; cat'], {
      cwd: '/',
      env: { ADDED: 'yes' },
      input: 'fed',
    });
    expect(stdout).toBe('C yes\n/\nfed');
  });

  it('does not mind a command that leaves its input unread', async () => {
    const result = await run(['true'], { input: 'x'.repeat(4_000_000) });
    expect(result.exitCode).toBe(0);
  });

  it('keeps characters whole that arrive in two pieces, and hands over lines, the unfinished last one too', async () => {
    const lines: string[] = [];
    const { stdout } = await run(['sh', '-c', "printf 'a\\303'; sleep 0.1; printf '\\251\\nb'; echo e >&2"], {
      onLine: (line, stream) => lines.push(`${stream}:${line}`),
    });
    expect(stdout).toBe('aé\nb');
    expect([...lines].sort()).toEqual(['stderr:e', 'stdout:aé', 'stdout:b']);
  });

  it('throws command_failed with status and the last 20 lines of standard error', async () => {
    const error = await failureOf(['sh', '-c', 'seq 30 >&2; exit 2']);
    expect(error.code).toBe('command_failed');
    expect(error.exitCode).toBe(70);
    expect(error.status).toBe(2);
    expect(error.stderrTail).toHaveLength(20);
    expect(error.stderrTail[0]).toBe('11');
    expect(error.message).toBe('sh: exit status 2: 30');
  });

  it('names the signal that killed the command', async () => {
    const error = await failureOf(['sh', '-c', 'kill -SEGV $$']);
    expect(error.signal).toBe('SIGSEGV');
    expect(error.status).toBeUndefined();
  });

  it('throws missing_tool for a program that is not there, not for a directory that is not', async () => {
    const tool = await failureOf(['no-such-tool-anywhere']);
    expect([tool.code, tool.exitCode]).toEqual(['missing_tool', 69]);
    const dir = await failureOf(['true'], { cwd: '/no/such/dir' });
    expect(dir.code).toBe('command_failed');
    expect(dir.message).toContain('/no/such/dir');
  });

  it('ends grandchildren that hold the pipes when time is up', async () => {
    const started = Date.now();
    let grandchild = 0;
    const error = await failureOf(['sh', '-c', 'sleep 30 & echo $!; sleep 30'], {
      timeoutMs: 1500,
      onLine: (line) => {
        grandchild = Number(line);
      },
    });
    expect(error.message).toBe('sh: timed out after 1.5 s');
    expect(Date.now() - started).toBeLessThan(5000);
    expect(grandchild).toBeGreaterThan(0);
    expect(isAlive(grandchild)).toBe(false);
  });

  it('kills what ignores SIGTERM', async () => {
    const error = await failureOf(['sh', '-c', "trap '' TERM; while :; do sleep 1; done"], {
      timeoutMs: 1000,
    });
    expect(error.code).toBe('command_failed');
    expect(error.signal).toBe('SIGKILL');
  });

  it('throws interrupted when aborted, during the run and before', async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 100);
    expect((await failureOf(['sleep', '30'], { signal: controller.signal })).code).toBe('interrupted');
    expect((await failureOf(['sleep', '30'], { signal: controller.signal })).code).toBe('interrupted');
  });

  it('ends the command and passes on the error when a line listener throws', async () => {
    const outcome = run(['sh', '-c', 'echo x; sleep 30'], {
      onLine: () => {
        throw new RangeError('listener');
      },
    });
    await expect(outcome).rejects.toThrow(RangeError);
  });

  it('appends command line and output to the log', async () => {
    const logFile = path.join(mkdtempSync(path.join(tmpdir(), 'run-')), 'deep', 'log');
    await run(['sh', '-c', 'echo one; echo two >&2'], { logFile, cwd: '/' });
    const error = await failureOf(['false'], { logFile });
    const text = readFileSync(logFile, 'utf8');
    expect(text).toMatch(/^\$ cd \/ && sh -c 'echo one; echo two >&2'\n/);
    expect(text).toContain('one\n');
    expect(text).toContain('two\n');
    expect(text.endsWith('$ false\n')).toBe(true);
    expect(error.hint).toContain(logFile);
  });

  it('announces the command ready to paste', async () => {
    const seen: string[] = [];
    await run(['true', 'a b'], { env: { X: '1' }, onCommand: (line) => seen.push(line) });
    expect(seen).toEqual(["X=1 true 'a b'"]);
  });

  it('hands standard output over as bytes', async () => {
    const target = new PassThrough();
    const chunks: Buffer[] = [];
    target.on('data', (chunk: Buffer) => chunks.push(chunk));
    await run(['printf', '\\377\\000\\376'], { stdoutTo: target });
    expect(Buffer.concat(chunks).toString('hex')).toBe('ff00fe');
  });
});
