import { describe, expect, it } from 'vitest';
import { quoteCommand, quoteWord } from './quote.ts';
import { run } from './run.ts';

describe('quoteCommand', () => {
  it('leaves plain words plain', () => {
    expect(quoteCommand(['make', '-j2', 'O=/b', 'fs/pipe.o'])).toBe('make -j2 O=/b fs/pipe.o');
  });

  it('shows directory and added environment', () => {
    expect(quoteCommand(['make'], { cwd: '/a b', env: { CC: 'gcc -m64' } })).toBe(
      "cd '/a b' && CC='gcc -m64' make",
    );
  });

  it('quotes a program whose name looks like an assignment', () => {
    expect(quoteCommand(['A=1', 'B=2'])).toBe("'A=1' B=2");
  });

  it('is read back by a shell as the same words', async () => {
    const words = ['', "it's", '$(id)', '`x`', 'a\nb', '*', '~', '"q"', '\\', '-n', 'é', '#c', '!'];
    const script = `printf '%s\\0' ${words.map(quoteWord).join(' ')}`;
    const { stdout } = await run(['sh', '-c', script]);
    expect(stdout.split('\0').slice(0, -1)).toEqual(words);
  });
});
