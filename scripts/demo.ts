/**
 * `npm run demo`: one story with real parts. A real fix from Debian's own update, made into a hot update,
 * applied to Debian's own kernel, unmodified, while a TCP connection goes on; seen to work; undone; applied
 * again. Exit status 0 only if everything that it says was seen to be so.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDir } from '../src/debian/cache-dir.ts';
import { debianSources } from '../src/debian/debian-sources.ts';
import { KspliceError } from '../src/diagnostics/error.ts';
import { run } from '../src/process/run.ts';
import { buildBundle } from '../test/support/bundle.ts';
import { compileGuest } from '../test/support/vm/guest-program.ts';
import { Vm } from '../test/support/vm/vm.ts';
import { Story, StoryFailure } from './demo/story.ts';
import { bytesSoFar, startWitness, stopWitness } from './demo/witness.ts';

const RELEASE = '6.1.0-47-cloud-amd64';
const FROM = '6.1.170-3';
const TO = '6.1.176-1';
const FILE = 'net/ipv4/ip_options.c';
const ID = 'cve_2026_53249';
const USER = 1000;

/** `./ksplice ...` on this machine, as a person would type it. */
async function ksplice(story: Story, ...args: readonly string[]): Promise<string> {
  story.command('host', `./ksplice ${args.map((arg) => (/\s/.test(arg) ? `'${arg}'` : arg)).join(' ')}`);
  const { stdout } = await run(['./ksplice', ...args], {
    onLine: (line, stream) => {
      if (stream === 'stderr') story.output(line);
    },
  });
  return stdout;
}

interface Told {
  readonly stdout: string;
  readonly ms: number;
}

/** A command in the guest that must succeed. */
async function inGuest(story: Story, vm: Vm, command: string, show = true): Promise<Told> {
  story.command('guest', command);
  const { exitCode, stdout, stderr, ms } = await vm.run(command, { timeoutMs: 180_000 });
  if (show) story.output(stdout === '' ? stderr : stdout);
  if (exitCode !== 0) throw new StoryFailure(`${command}: exit status ${exitCode}\n${stderr}`);
  return { stdout, ms };
}

/** What the kernel answers to a user who asks for source routing. */
async function sourceRouting(story: Story, vm: Vm, uid: number, kind: 'ssrr' | 'lsrr'): Promise<string> {
  const command = `source_route ${uid}${kind === 'lsrr' ? ' lsrr' : ''}`;
  story.command('guest', command);
  const { stdout } = await vm.run(command);
  story.output(stdout);
  return stdout.trim();
}

async function checkVulnerable(story: Story, vm: Vm): Promise<void> {
  for (const kind of ['ssrr', 'lsrr'] as const) {
    const answer = await sourceRouting(story, vm, USER, kind);
    story.check(answer === 'ok', `an unprivileged user may set ${kind.toUpperCase()}: vulnerable`, answer);
  }
}

async function checkFixed(story: Story, vm: Vm): Promise<void> {
  for (const kind of ['ssrr', 'lsrr'] as const) {
    const answer = await sourceRouting(story, vm, USER, kind);
    story.check(
      answer === 'EPERM',
      `an unprivileged user may not set ${kind.toUpperCase()} any more`,
      answer,
    );
  }
  const root = await sourceRouting(story, vm, 0, 'ssrr');
  story.check(root === 'ok', 'root still may', root);
}

interface Applied {
  readonly stoppedMs: number;
  readonly functions: readonly string[];
  readonly commandMs: number;
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  const fields: Readonly<Record<string, unknown>> = { ...value };
  return fields[name];
}

/** Applies, and sees that data went on moving across the stop. */
async function apply(story: Story, vm: Vm): Promise<Applied> {
  const before = await bytesSoFar(vm);
  const { stdout, ms } = await inGuest(story, vm, `ksplice apply ${ID}.ksplice --json`, false);
  await vm.run('usleep 200000');
  const after = await bytesSoFar(vm);
  const updates = field(JSON.parse(stdout), 'updates');
  const update: unknown = Array.isArray(updates) ? updates[0] : undefined;
  const functions = field(update, 'functions');
  const stoppedMs = Number(field(field(update, 'timing'), 'stoppedNs')) / 1e6;
  const names = Array.isArray(functions) ? functions.map(String) : [];
  story.output(`replaced ${names.join(', ')}; all CPUs stopped for ${stoppedMs.toFixed(2)} ms`);
  story.check(names.length > 0, 'functions were replaced', stdout);
  story.check(
    after > before,
    `${after - before} bytes moved on the connection meanwhile`,
    `${after - before}`,
  );
  return { stoppedMs, functions: names, commandMs: ms };
}

function checkKernelLog(story: Story, log: string): void {
  const bad = log
    .split('\n')
    .filter((line) => /\b(WARN(ING)?|BUG|Oops|Call Trace|general protection)\b/.test(line));
  story.check(bad.length === 0, 'the kernel log holds no WARN, BUG or oops', bad.join(' | '));
  story.output(
    log
      .split('\n')
      .filter((line) => line.includes('ksplice'))
      .join('\n'),
  );
}

async function makeUpdate(story: Story, work: string): Promise<string> {
  const patch = join(work, 'fix.patch');
  await story.step(`the fix, from Debian's update ${FROM} -> ${TO}`, async () => {
    const text = await ksplice(story, 'debian', 'diff', FROM, TO, '--file', FILE);
    story.output(text);
    await writeFile(patch, text);
    story.check(/CAP_NET_RAW/.test(text), 'it asks for CAP_NET_RAW', text);
  });
  const update = join(work, `${ID}.ksplice`);
  await story.step('create: that unit only, before and after', async () => {
    const about = 'CVE-2026-53249: IPv4 source routing needs CAP_NET_RAW';
    story.output(
      await ksplice(
        story,
        'create',
        '--patch',
        patch,
        '--kernel',
        RELEASE,
        '--id',
        ID,
        '--description',
        about,
        '-o',
        update,
      ),
    );
  });
  return update;
}

async function tell(story: Story): Promise<void> {
  const cache = cacheDir(process.env);
  const work = join(cache, 'demo');
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });

  const kernel = await story.step(`Debian's kernel ${RELEASE}: image, headers, source`, async () => {
    await ksplice(story, 'debian', 'sources', RELEASE);
    const sources = await debianSources(RELEASE, { cacheDir: cache });
    story.output(`${sources.version}: ${sources.image}`);
    return sources;
  });
  const update = await makeUpdate(story, work);

  const transcript = join(work, 'console.log');
  await using vm = await story.step('a machine with that kernel, unmodified', async () => {
    const guest = await Vm.boot({
      image: kernel.image,
      cacheDir: cache,
      bundle: await buildBundle(cache),
      transcript,
      files: [
        { path: `/root/${ID}.ksplice`, from: update },
        { path: '/bin/source_route', from: await compileGuest('source_route', cache), mode: 0o755 },
        { path: '/bin/tcp_witness', from: await compileGuest('tcp_witness', cache), mode: 0o755 },
      ],
    });
    await inGuest(story, guest, 'uname -rv');
    return guest;
  });
  const bootId = (await vm.run('cat /proc/sys/kernel/random/boot_id')).stdout;
  const uptimeAtStart = await vm.uptime();

  const witness = await story.step('before: vulnerable; and a busy TCP connection', async () => {
    await checkVulnerable(story, vm);
    story.command('guest', 'tcp_witness &');
    return await startWitness(vm);
  });
  const first = await story.step('apply', async () => await apply(story, vm));
  await story.step('after: fixed', async () => {
    await checkFixed(story, vm);
  });
  await story.step('view', async () => {
    await inGuest(story, vm, 'ksplice view');
    const { stdout } = await inGuest(story, vm, 'ksplice view --json', false);
    const updates = field(JSON.parse(stdout), 'updates');
    const stage = field(Array.isArray(updates) ? updates[0] : undefined, 'stage');
    story.check(stage === 'applied', 'view --json says applied', stdout);
  });
  await story.step('undo: the old behaviour is back', async () => {
    await inGuest(story, vm, `ksplice undo ${ID}`);
    await checkVulnerable(story, vm);
  });
  const second = await story.step('apply again', async () => {
    const applied = await apply(story, vm);
    await checkFixed(story, vm);
    return applied;
  });
  const connection = await story.step('the connection, and the kernel log', async () => {
    const report = await stopWitness(witness);
    const { agreed, resets, errors, longestGapMs, bytes } = report;
    story.check(
      agreed && report.exitCode === 0,
      'both ends agree on every byte and checksum',
      JSON.stringify(report),
    );
    story.check(resets === 0 && errors === 0, 'no reset, no error', `${resets} resets, ${errors} errors`);
    story.output(
      `${bytes} bytes in ${(report.durationMs / 1000).toFixed(1)} s, longest gap ${longestGapMs.toFixed(1)} ms`,
    );
    checkKernelLog(story, await vm.kernelLog());
    return report;
  });
  const uptime = await vm.uptime();
  const sameBoot = (await vm.run('cat /proc/sys/kernel/random/boot_id')).stdout === bootId;

  story.line();
  story.line('== summary');
  for (const { title, ms } of story.steps) story.line(`  ${(ms / 1000).toFixed(1).padStart(6)} s  ${title}`);
  story.line(`  functions replaced: ${first.functions.join(', ')}`);
  story.line(
    `  all CPUs stopped:   ${first.stoppedMs.toFixed(2)} ms and ${second.stoppedMs.toFixed(2)} ms (emulated CPUs)`,
  );
  story.line(`  apply, in the guest: ${(first.commandMs / 1000).toFixed(1)} s from command to applied`);
  story.line(`  the connection:     longest gap ${connection.longestGapMs.toFixed(1)} ms, no reset`);
  story.check(
    sameBoot && uptime > uptimeAtStart,
    `uptime unbroken: ${uptime.toFixed(0)} s, one boot`,
    `${uptime}`,
  );
}

async function main(): Promise<void> {
  const story = new Story();
  try {
    await tell(story);
    story.line();
    story.line('the demo succeeded');
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`\ndemo: ${message}\n`);
    if (error instanceof KspliceError && error.hint !== undefined)
      process.stderr.write(`hint: ${error.hint}\n`);
    process.exitCode = error instanceof KspliceError ? error.exitCode : 1;
  }
}

await main();
