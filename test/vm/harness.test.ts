/**
 * The harness itself, on the kernel that the other VM tests use. One guest serves all tests but those that
 * kill theirs.
 */

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compileGuest, guestSource } from '../support/vm/guest-program.ts';
import { LostVmError, VmTimeoutError } from '../support/vm/lost-vm-error.ts';
import { TEST_RELEASE, testCacheDir, testImage } from '../support/vm/test-kernel.ts';
import { Vm } from '../support/vm/vm.ts';

const cacheDir = testCacheDir();
let image: string;
let folder: string;
let vm: Vm;

/** A process that has ended and is not reaped yet does not count. */
function isRunning(pid: number): boolean {
  return existsSync(`/proc/${pid}/stat`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
}

async function caught(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    (value) => {
      throw new Error(`resolved to ${JSON.stringify(value)}`);
    },
    (error: unknown) => error,
  );
}

beforeAll(async () => {
  image = await testImage();
  folder = await mkdtemp(join(tmpdir(), 'ksplice-harness-'));
  const programs = ['source_route', 'tcp_witness', 'sleepers'];
  vm = await Vm.boot({
    image,
    cacheDir,
    monitor: true,
    transcript: join(folder, 'console.txt'),
    files: [
      { path: '/root/greeting', contents: 'from the initramfs\n', mode: 0o600 },
      ...(await Promise.all(
        programs.map(async (name) => ({
          path: `/bin/${name}`,
          from: await compileGuest(name, cacheDir),
          mode: 0o755,
        })),
      )),
    ],
  });
});

afterAll(async () => {
  await vm?.close();
  await rm(folder, { recursive: true, force: true });
});

describe('a guest', () => {
  it('runs the kernel that it was given', async () => {
    expect((await vm.run('uname -r')).stdout).toBe(`${TEST_RELEASE}\n`);
    expect(await vm.kernelLog()).toContain(`Linux version ${TEST_RELEASE}`);
  });

  it('has a file system as a booted machine has', async () => {
    const { stdout } = await vm.run('mount; ip -o link; cat greeting; stat -c %a greeting /tmp');
    for (const place of ['/proc', '/sys', '/dev', '/sys/kernel/debug', '/sys/kernel/tracing']) {
      expect(stdout).toContain(` on ${place} type `);
    }
    expect(stdout).toMatch(/lo: <LOOPBACK,UP,LOWER_UP>/);
    expect(stdout).toContain('from the initramfs\n600\n1777\n');
  });

  it('runs node', async () => {
    const { exitCode, stdout } = await vm.run(`node -p 'process.version'`);
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: `${process.version}\n` });
  });

  it('loads no module by itself', async () => {
    expect((await vm.run('cat /proc/modules')).stdout).toBe('');
  });
});

describe('a command', () => {
  it('returns its exit status, output and error output', async () => {
    const { exitCode, stdout, stderr } = await vm.run('echo out; echo err >&2; exit 3');
    expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 3, stdout: 'out\n', stderr: 'err\n' });
    expect((await vm.run('true')).exitCode).toBe(0);
    expect((await vm.run('no-such-program')).exitCode).toBe(127);
  });

  it('that a signal ended has 128 plus its number', async () => {
    expect((await vm.run('kill -SEGV $$')).exitCode).toBe(128 + 11);
  });

  it('gets input, directory, environment and user', async () => {
    const { stdout } = await vm.run('cat; pwd; echo "$WORD"; id -u', {
      input: 'typed\n',
      cwd: '/tmp',
      env: { WORD: 'two words' },
      uid: 1000,
    });
    expect(stdout).toBe('typed\n/tmp\ntwo words\n1000\n');
  });

  it('that takes too long is killed with all that it started', async () => {
    const error = await caught(vm.run('echo begun; sleep 1234 & sleep 1234', { timeoutMs: 5000 }));
    expect(error).toBeInstanceOf(VmTimeoutError);
    expect(error).toHaveProperty('stdout', 'begun\n');
    expect((await vm.run('pidof sleep')).stdout).toBe('');
  });

  it('does not wait for what it left in the background', async () => {
    const { stdout, ms } = await vm.run('sleep 20 & echo left');
    expect(stdout).toBe('left\n');
    expect(ms).toBeLessThan(10_000);
    await vm.run('killall sleep');
  });

  it('runs beside others', async () => {
    await vm.run('mkfifo /tmp/fifo');
    const background = await vm.start('read line </tmp/fifo; echo "$line"; exit 5');
    await vm.run('echo through >/tmp/fifo');
    const { exitCode, stdout } = await background.wait();
    expect({ exitCode, stdout }).toEqual({ exitCode: 5, stdout: 'through\n' });
  });

  it('is told of signals, and finishes what it has to say', async () => {
    const background = await vm.start(
      `sh -c 'trap "echo ended; exit 7" TERM; echo $$; while :; do sleep 0.1; done'`,
    );
    expect((await vm.run(`kill -0 ${background.pid}`)).exitCode).toBe(0);
    await vm.run('sleep 1');
    background.kill('SIGTERM');
    const { exitCode, stdout } = await background.wait();
    expect({ exitCode, last: stdout.trim().split('\n').at(-1) }).toEqual({ exitCode: 7, last: 'ended' });
  });
});

describe('files', () => {
  it.each([0, 1, 511, 512, 513, 1 << 20, 5_000_003])('of %i bytes come back as they went', async (size) => {
    const bytes = randomBytes(size);
    await vm.put('/tmp/there/and back', bytes, 0o640);
    expect((await vm.get('/tmp/there/and back')).equals(bytes)).toBe(true);
    expect((await vm.run('stat -c "%a %s" "/tmp/there/and back"')).stdout).toBe(`640 ${size}\n`);
  });

  it('that do not exist are an error that names them', async () => {
    expect(String(await caught(vm.get('/no/such/file')))).toContain('/no/such/file');
  });

  it('cross the line whole while other commands use it', async () => {
    const bytes = randomBytes(1 << 20);
    const both = [1, 2].map(async (number) => {
      await vm.put(`/tmp/both-${number}`, bytes);
      return await vm.get(`/tmp/both-${number}`);
    });
    const answers = Promise.all(
      Array.from({ length: 20 }, async (_, n) => (await vm.run(`echo ${n}`)).stdout),
    );
    for (const back of await Promise.all(both)) {
      expect(back.equals(bytes)).toBe(true);
    }
    expect(await answers).toEqual(Array.from({ length: 20 }, (_, n) => `${n}\n`));
  });
});

describe('the console', () => {
  it('is waited for, typed on and kept', async () => {
    await vm.run('echo "first 12" >/dev/ttyS0');
    expect((await vm.console.expect(/first (\d+)/))[1]).toBe('12');
    // What is typed before the reader has the line open can be lost, so it says when it has. The line is its
    // session's terminal: when the reader ends, the kernel hangs it up and drops what has not left it yet
    // (uart_hangup() flushes), so the reader waits for that first, by setting it (TCSADRAIN).
    const reader = await vm.start(
      'exec 3<>/dev/ttyS0; echo "reader listens" >&3; read -r line <&3; echo "got $line" >&3; stty sane <&3',
    );
    await vm.console.expect(/reader listens/);
    vm.console.write('typed\n');
    await vm.console.expect(/got typed/);
    await reader.wait();
    expect(readFileSync(join(folder, 'console.txt'), 'latin1')).toMatch(
      /Linux version[^]*first 12[^]*got typed/,
    );
  });

  it('that says nothing is an error with its last lines', async () => {
    expect(String(await caught(vm.console.expect(/never said/, 100)))).toContain('got typed');
  });
});

/** The threads of QEMU that run the CPUs of a guest, by CPU. */
async function threads(guest: Vm): Promise<readonly number[]> {
  const cpus = v.parse(
    v.array(v.object({ 'thread-id': v.number() })),
    await guest.monitor('query-cpus-fast'),
  );
  return cpus.map((cpu) => cpu['thread-id']);
}

describe('two CPUs of a guest', () => {
  it('run beside each other', async () => {
    const [first, second] = await threads(vm);
    expect(first).not.toBe(second);
  });

  it('take turns if they are told to', async () => {
    await using inTurn = await Vm.boot({ image, cacheDir, monitor: true, cpusInTurn: true });
    expect((await inTurn.run('nproc')).stdout).toBe('2\n');
    const [first, second] = await threads(inTurn);
    expect(first).toBe(second);
  });
});

describe('the monitor', () => {
  it('answers', async () => {
    expect(await vm.monitor('query-status')).toMatchObject({ running: true });
    expect(String(await caught(vm.monitor('no-such-command')))).toContain('CommandNotFound');
  });

  it('sends an NMI', async () => {
    await vm.monitor('inject-nmi');
    expect((await vm.run('grep NMI: /proc/interrupts')).stdout).toMatch(/NMI:\s+[1-9]/);
  });
});

describe('programs for guests', () => {
  it('an unprivileged user gets a source route from this kernel', async () => {
    for (const kind of ['', 'lsrr']) {
      const { exitCode, stdout, stderr } = await vm.run(`source_route 1000 ${kind}`);
      expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 0, stdout: 'ok\n', stderr: '' });
    }
  });

  it('tcp_witness agrees with itself', async () => {
    const witness = await vm.start('tcp_witness -t /tmp/timeline');
    await vm.run('sleep 1');
    witness.kill('SIGUSR1');
    await vm.run('sleep 1');
    witness.kill('SIGTERM');
    const { exitCode, stdout, stderr } = await witness.wait();
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    const [mark, summary] = stdout.trim().split('\n');
    expect(JSON.parse(mark ?? '')).toMatchObject({ received: [expect.any(Number), expect.any(Number)] });
    expect(JSON.parse(summary ?? '')).toMatchObject({ agreed: true, resets: 0, errors: 0 });
    expect((await vm.get('/tmp/timeline')).toString().trim().split('\n').length).toBeGreaterThan(50);
  });

  it('tcp_witness says so when its connection is cut', async () => {
    const witness = await vm.start('tcp_witness');
    await vm.run('until [ $(pidof tcp_witness | wc -w) = 2 ]; do sleep 0.1; done; sleep 0.5');
    await vm.run(`kill -KILL $(pidof tcp_witness | tr ' ' '\\n' | sort -n | tail -n 1)`);
    const { exitCode, stdout } = await witness.wait();
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ agreed: false });
  });

  it('sleepers has as many threads as asked for', async () => {
    const sleepers = await vm.start('exec sleepers 200');
    await vm.run(`until grep -q ready /run/vm/*.out; do sleep 0.1; done`);
    expect((await vm.run(`ls /proc/${sleepers.pid}/task | wc -l`)).stdout).toBe('201\n');
    sleepers.kill('SIGKILL');
    expect((await sleepers.wait()).exitCode).toBe(137);
  });
});

describe('a guest that ends', () => {
  it('by a panic is lost, and the error shows it', async () => {
    const transcript = join(folder, 'panic.txt');
    await using doomed = await Vm.boot({ image, cacheDir, transcript, append: 'quiet' });
    const waiting = caught(doomed.run('sleep 100'));
    const error = await caught(doomed.run('echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger'));
    expect(error).toBeInstanceOf(LostVmError);
    expect(String(error)).toContain('Kernel panic - not syncing: sysrq triggered crash');
    expect(String(error)).toContain(transcript);
    expect(await waiting).toBeInstanceOf(LostVmError);
    expect(isRunning(doomed.qemuPid)).toBe(false);
    expect(await caught(doomed.run('true'))).toBeInstanceOf(LostVmError);
  });

  it('by a reboot is lost, and until then serves over its serial port alone', async () => {
    const init = readFileSync(guestSource('init.sh'), 'utf8').replace(/0000:00:10\.0$/m, 'absent');
    const files = [{ path: '/init', contents: init, mode: 0o755 }];
    await using doomed = await Vm.boot({ image, cacheDir, append: 'quiet', files });
    const bytes = randomBytes(20_000);
    await doomed.put('/tmp/slowly', bytes);
    expect((await doomed.get('/tmp/slowly')).equals(bytes)).toBe(true);
    expect((await doomed.run('cat /proc/1/cmdline')).stdout).toContain('absent');
    expect(await caught(doomed.run('reboot -f'))).toBeInstanceOf(LostVmError);
    expect(isRunning(doomed.qemuPid)).toBe(false);
  });

  it('before it is up is lost', async () => {
    const error = await caught(Vm.boot({ image, cacheDir, append: 'rdinit=/no/such/init' }));
    expect(error).toBeInstanceOf(LostVmError);
    expect(String(error)).toContain('Kernel panic');
  });

  it('is ended when the process that booted it is killed', async () => {
    const program = join(folder, 'boots-and-waits.mts');
    const options = {
      image,
      initramfs: '/bin/true',
      commandLine: '',
      cpus: 1,
      memoryMb: 256,
      monitor: false,
    };
    const temporaryFolder = await mkdtemp(join(folder, 'left-'));
    const shared = { shared: join(temporaryFolder, 'shared'), sharedSize: 1 << 20, temporaryFolder };
    const qemuModule = new URL('../support/vm/qemu.ts', import.meta.url).href;
    writeFileSync(
      program,
      `import { Qemu } from ${JSON.stringify(qemuModule)};
       const qemu = new Qemu(${JSON.stringify({ ...options, ...shared })});
       console.log(qemu.pid);
       setInterval(() => {}, 1000);`,
    );
    const parent = spawn(process.execPath, ['--import', 'tsx', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line]: readonly unknown[] = await once(parent.stdout, 'data');
    const pid = Number(String(line));
    await expect.poll(() => readdirSync(temporaryFolder), { timeout: 20_000 }).toEqual(['shared']);
    expect(isRunning(pid)).toBe(true);
    parent.kill('SIGKILL');
    await expect.poll(() => isRunning(pid), { timeout: 20_000 }).toBe(false);
    await expect.poll(() => existsSync(temporaryFolder), { timeout: 20_000 }).toBe(false);
  });

  it('or never begins, for want of a kernel, is missing something', async () => {
    const error = await caught(Vm.boot({ image: '/no/such/vmlinuz', cacheDir }));
    expect(error).toHaveProperty('exitCode', 69);
  });

  it('by closing leaves no process and no files', async () => {
    expect(isRunning(vm.qemuPid)).toBe(true);
    await vm.close();
    expect(isRunning(vm.qemuPid)).toBe(false);
    expect(existsSync(vm.temporaryFolder)).toBe(false);
  });
});
