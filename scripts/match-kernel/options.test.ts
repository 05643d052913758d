import { describe, expect, test } from 'vitest';
import { parseOptions } from './options.ts';

describe('options', () => {
  test('a directory is enough', () => {
    expect(parseOptions(['--dir', 'ipc'])).toMatchObject({
      directories: ['ipc'],
      release: '6.1.0-47-cloud-amd64',
      running: false,
      figures: false,
      append: '',
    });
  });

  test('--dir can be repeated, and stop at the directory itself', () => {
    const argv = ['--dir', 'fs/*.c', '--dir=net/ipv4/', '--dir', 'lib/*', '--running', '--append', 'nokaslr'];
    expect(parseOptions(argv)).toMatchObject({
      directories: ['fs/*.c', 'net/ipv4/', 'lib/*'],
      running: true,
      append: 'nokaslr',
    });
  });

  test.each([
    [[]],
    [['ipc']],
    [['--dir']],
    [['--dir', '/etc']],
    [['--dir', '../x']],
    [['--dir', 'fs/*.h']],
    [['--dir', 'ipc', '--jobs', '0']],
    [['--dir', 'ipc', '--jobs', 'all']],
    [['--dir', 'ipc', '--append', 'nokaslr']],
    [['--dir', 'ipc', '--runing']],
  ])('refused: %j', (argv) => {
    expect(() => parseOptions(argv)).toThrow(expect.objectContaining({ code: 'usage', exitCode: 64 }));
  });

  test('--help is no request', () => {
    expect(parseOptions(['--help'])).toBeUndefined();
  });
});
