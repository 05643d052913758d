/**
 * What `create` is given and cannot use: a clear error with the documented exit code, and no file, for the real
 * tool and the real kernel source.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostBundle, hostKsplice } from '../support/live/host-cli.ts';
import { fixPatch, updateFile } from '../support/live/update-file.ts';
import { TEST_RELEASE, testCacheDir } from '../support/vm/test-kernel.ts';

let bundle: string;
let fix: string;
let folder: string;

beforeAll(async () => {
  // Prepares the kernel's tree where the cache is empty, so that no test below has to.
  await updateFile();
  [bundle, fix] = [await hostBundle(), await fixPatch()];
  folder = await mkdtemp(join(tmpdir(), 'ksplice-create-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

const WORK = join(testCacheDir(), 'work');
const PATIENCE_MS = 100_000;

interface Refusal {
  readonly exitCode: number;
  readonly error: unknown;
}

/** Runs create on a patch, and sees that nothing but the patch is there afterwards. */
async function refusal(patch: string, kernel: string = TEST_RELEASE): Promise<Refusal> {
  await writeFile(join(folder, 'bad.patch'), patch);
  const args = ['create', '--patch', 'bad.patch', '--kernel', kernel, '-o', 'out.ksplice', '--json'];
  const { exitCode, stdout } = await hostKsplice(bundle, args, folder);
  expect(await readdir(folder)).toEqual(['bad.patch']);
  // Another run of the tool may be at work in the same cache; what is its own goes when it ends.
  const left = existsSync(WORK) ? await readdir(WORK) : [];
  await expect
    .poll(() => left.filter((name) => existsSync(join(WORK, name))), { timeout: PATIENCE_MS })
    .toEqual([]);
  return { exitCode, error: JSON.parse(stdout) };
}

/** The fix with one text in place of another, which must be in it. */
function changedFix(from: string, to: string): string {
  expect(fix).toContain(from);
  return fix.replace(from, to);
}

describe('create refuses', () => {
  it('a malformed patch, with the line', async () => {
    const { exitCode, error } = await refusal(changedFix('+\t\tkfree(opt);\n', ''));
    expect(error).toMatchObject({
      code: 'malformed_patch',
      message: expect.stringMatching(/^bad\.patch:\d+: /),
    });
    expect(exitCode).toBe(65);
  });

  it('a file that is no patch', async () => {
    const { exitCode, error } = await refusal('int main(void)\n{\n\treturn 0;\n}\n');
    expect(error).toMatchObject({ code: 'malformed_patch', message: expect.stringContaining('bad.patch') });
    expect(exitCode).toBe(65);
  });

  it('a patch that does not apply, with file and hunk', async () => {
    const { exitCode, error } = await refusal(changedFix(' \t\treturn -EINVAL;\n', ' \t\treturn -EFAULT;\n'));
    expect(error).toMatchObject({
      code: 'patch_does_not_apply',
      message: expect.stringMatching(/^bad\.patch:3: net\/ipv4\/ip_options\.c: hunk 1 does not apply/),
    });
    expect(exitCode).toBe(65);
  });

  it('a patch of a comment, which changes no code', async () => {
    const comment = fix
      .replace(/^\+\tif .*\n/m, '+\t/* nothing but\n')
      .replace(/^\+\t\tkfree.*\n/m, '+\t * a comment, of\n')
      .replace(/^\+\t\treturn.*\n/m, '+\t * four lines\n')
      .replace(/^\+\t}\n/m, '+\t */\n');
    const { exitCode, error } = await refusal(comment);
    expect(error).toMatchObject({ code: 'no_change', hint: expect.stringContaining('comments') });
    expect(exitCode).toBe(3);
  });

  it('a patch after which the source does not compile, in the words of the compiler', async () => {
    const { exitCode, error } = await refusal(changedFix('ns_capable(', 'not_declared('));
    expect(error).toMatchObject({
      code: 'compile_failed',
      message: expect.stringMatching(
        /^net\/ipv4\/ip_options\.o: .*\n[\s\S]*^net\/ipv4\/ip_options\.c:533:\d+: error: implicit declaration of function 'not_declared'/m,
      ),
    });
    expect(JSON.stringify(error)).not.toContain('mirror');
    expect(exitCode).toBe(65);
  });

  it('a kernel that apt does not know', async () => {
    const { exitCode, error } = await refusal(fix, '6.1.0-9999-cloud-amd64');
    expect(error).toMatchObject({
      code: 'unknown_kernel',
      message: expect.stringContaining('6.1.0-9999-cloud-amd64'),
    });
    expect(exitCode).toBe(69);
  });
});
