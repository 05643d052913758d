import { describe, expect, it } from 'vitest';
import { type CpioEntry, encodeCpio } from './cpio.ts';

interface Listed {
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly device: string;
  readonly contents: string;
}

/** Reads an archive by the format's description. */
function list(entries: readonly CpioEntry[]): readonly Listed[] {
  const bytes = Buffer.concat(encodeCpio(entries));
  const listed: Listed[] = [];
  let at = 0;
  for (;;) {
    expect(at % 4).toBe(0);
    expect(bytes.toString('latin1', at, at + 6)).toBe('070701');
    const field = (index: number): number =>
      Number.parseInt(bytes.toString('latin1', at + 6 + 8 * index, at + 14 + 8 * index), 16);
    const nameEnd = at + 110 + field(11);
    expect(bytes[nameEnd - 1]).toBe(0);
    const name = bytes.toString('utf8', at + 110, nameEnd - 1);
    const start = Math.ceil(nameEnd / 4) * 4;
    const end = start + field(6);
    if (name === 'TRAILER!!!') {
      expect(bytes.length).toBe(Math.ceil(end / 4) * 4);
      return listed;
    }
    const contents = bytes.toString('utf8', start, end);
    listed.push({ name, mode: field(1), uid: field(2), device: `${field(9)}:${field(10)}`, contents });
    at = Math.ceil(end / 4) * 4;
  }
}

describe('encodeCpio', () => {
  it('writes every kind of entry', () => {
    expect(
      list([
        { kind: 'directory', path: '/home', mode: 0o700, uid: 1000 },
        { kind: 'file', path: '/init', contents: Buffer.from('12345'), mode: 0o755 },
        { kind: 'symlink', path: '/sh', target: '/bin/busybox' },
        { kind: 'device', path: '/console', major: 5, minor: 1 },
      ]),
    ).toEqual([
      { name: 'home', mode: 0o040700, uid: 1000, device: '0:0', contents: '' },
      { name: 'init', mode: 0o100755, uid: 0, device: '0:0', contents: '12345' },
      { name: 'sh', mode: 0o120777, uid: 0, device: '0:0', contents: '/bin/busybox' },
      { name: 'console', mode: 0o020600, uid: 0, device: '5:1', contents: '' },
    ]);
  });

  it('makes the directories above an entry, outermost first, and no entry twice', () => {
    const names = list([
      { kind: 'file', path: '/a/b/c/file', contents: new Uint8Array() },
      { kind: 'directory', path: '/a/b', mode: 0o700 },
    ]).map(({ name, mode }) => `${name} ${mode.toString(8)}`);
    expect(names).toEqual(['a 40755', 'a/b 40700', 'a/b/c 40755', 'a/b/c/file 100644']);
  });

  it('refuses paths that are not absolute or climb', () => {
    const contents = new Uint8Array();
    expect(() => encodeCpio([{ kind: 'file', path: 'init', contents }])).toThrow(/init/);
    expect(() => encodeCpio([{ kind: 'file', path: '/../init', contents }])).toThrow(/absolute/);
  });
});
