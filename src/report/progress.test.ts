import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createProgress, type Progress } from './progress.ts';

let clock = 0;
let output = '';

function progressOn(isTerminal: boolean, columns = 80): Progress {
  return createProgress({
    write: (text) => {
      output += text;
    },
    isTerminal,
    colors: false,
    columns: () => columns,
    now: () => clock,
  });
}

beforeEach(() => {
  vi.useFakeTimers();
  clock = 0;
  output = '';
});

afterEach(() => {
  vi.useRealTimers();
});

describe('progress in a log', () => {
  it('writes one plain line a step, with the time since the start', () => {
    const progress = progressOn(false);
    progress.step('unpacking the source');
    progress.detail('net/ipv4/ip_options.c');
    clock = 12_345;
    vi.advanceTimersByTime(5000);
    progress.step('compiling net/ipv4/ip_options.o');
    progress.done();
    expect(output).toBe('[   0.0 s] unpacking the source\n[  12.3 s] compiling net/ipv4/ip_options.o\n');
  });

  it('has a line for each part of a step', () => {
    const progress = progressOn(false);
    progress.step('compiling');
    clock = 1000;
    progress.part('compiled a.o, 1 of 2');
    expect(output).toBe('[   0.0 s] compiling\n[   1.0 s] compiled a.o, 1 of 2\n');
  });

  it('keeps escapes out of the line', () => {
    progressOn(false).step('compiling \u001b[31mx\r\n');
    expect(output).toBe('[   0.0 s] compiling  [31mx \n');
  });
});

describe('progress on a terminal', () => {
  it('draws the running step again, with its time and what it is at', () => {
    const progress = progressOn(true);
    progress.step('compiling');
    progress.detail('CC fs/pipe.o');
    clock = 1500;
    vi.advanceTimersByTime(100);
    expect(output.split('\r').at(-1)).toBe('\u001b[2K/ compiling (1.5 s)  CC fs/pipe.o');
    expect(output).not.toContain('\n');
  });

  it('shows how far a step is behind it, and what takes its time goes on', () => {
    const progress = progressOn(true);
    progress.step('compiling');
    clock = 1000;
    progress.part('compiled a.o, 1 of 2');
    clock = 2500;
    vi.advanceTimersByTime(100);
    expect(output.split('\r').at(-1)).toBe('\u001b[2K/ compiling (2.5 s)  compiled a.o, 1 of 2');
    progress.done();
    expect(output.split('\r').at(-1)).toBe('\u001b[2Kcompiling ... done 2.5 s\n');
  });

  it('leaves one line when the step ends, and draws no more', () => {
    const progress = progressOn(true);
    progress.step('one');
    clock = 2000;
    progress.step('two');
    progress.fail();
    const written = output;
    vi.advanceTimersByTime(1000);
    expect(output).toBe(written);
    const lines = written.split('\n').map((line) => line.split('\u001b[2K').at(-1));
    expect(lines).toEqual(['one ... done 2.0 s', 'two ... not done 0.0 s', '']);
  });

  it('never draws a line as wide as the terminal', () => {
    const progress = progressOn(true, 20);
    progress.step('a step with a long description');
    progress.detail('and a detail');
    vi.advanceTimersByTime(300);
    for (const drawn of output.split('\r\u001b[2K')) {
      expect(drawn.length).toBeLessThan(20);
    }
  });

  it('keeps other output out of the live line', () => {
    const progress = progressOn(true);
    progress.step('one');
    progress.print('$ make');
    expect(output.endsWith('\r\u001b[2K$ make\n\r\u001b[2K| one (0.0 s)')).toBe(true);
  });
});
