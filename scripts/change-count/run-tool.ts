import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** What a program prints, in its own language. Throws what it said when it fails. */
export async function runTool(argv: readonly [string, ...string[]], cwd?: string): Promise<string> {
  const [program, ...rest] = argv;
  const { stdout } = await execute(program, rest, {
    maxBuffer: 2 ** 30,
    env: { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' },
    ...(cwd === undefined ? {} : { cwd }),
  });
  return stdout;
}
