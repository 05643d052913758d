import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packTar, type TarHeader } from 'modern-tar';
import { describe, expect, it } from 'vitest';
import { sampleUpdate } from '../../test/support/sample-update.ts';
import { FormatError, UsageError } from '../diagnostics/error.ts';
import { readUpdate, readUpdateFile } from './read-update.ts';
import { readMembers, type TarMember } from './tar-members.ts';
import { writeUpdate } from './write-update.ts';

const FILE = 'sample_1.ksplice';
const whole = await writeUpdate(sampleUpdate());
const members = readMembers(whole, FILE);

function errorOf(bytes: Uint8Array): unknown {
  try {
    readUpdate(bytes, FILE);
    return undefined;
  } catch (error) {
    return error;
  }
}

function refusal(bytes: Uint8Array): FormatError {
  const error = errorOf(bytes);
  if (!(error instanceof FormatError)) {
    expect.fail(`expected a FormatError, got ${String(error)}`);
  }
  expect(error.code).toBe('malformed_update');
  expect(error.message).toMatch(/^sample_1\.ksplice: .*found .*expected /s);
  return error;
}

/** Packs members with headers changed, right checksums included: what an attacker would hand over. */
async function repack(
  change: (member: TarMember) => { readonly header?: Partial<TarHeader>; readonly bytes?: Uint8Array },
  extra: readonly { readonly header: TarHeader; readonly body?: Uint8Array }[] = [],
): Promise<Uint8Array> {
  return await packTar([
    ...members.map((member) => {
      const { header = {}, bytes = member.bytes } = change(member);
      return {
        header: {
          name: member.name,
          size: bytes.length,
          type: 'file' as const,
          mode: 0o644,
          mtime: new Date(0),
          ...header,
        },
        body: bytes,
      };
    }),
    ...extra,
  ]);
}

const packList = (list: readonly TarMember[]): Promise<Uint8Array> =>
  packTar(
    list.map(({ name, bytes }) => ({
      header: { name, size: bytes.length, mode: 0o644, mtime: new Date(0) },
      body: bytes,
    })),
  );

const extraFile = (
  name: string,
  header: Partial<TarHeader> = {},
): { header: TarHeader; body: Uint8Array } => ({
  header: { name, size: 4, type: 'file', mode: 0o644, mtime: new Date(0), ...header },
  body: new TextEncoder().encode('evil'),
});

const onManifest = (change: (text: string) => string): Promise<Uint8Array> =>
  repack(({ name, bytes }) =>
    name === 'manifest.json'
      ? { bytes: new TextEncoder().encode(change(new TextDecoder().decode(bytes))) }
      : {},
  );

describe('writeUpdate', () => {
  it('gives the same bytes for the same contents', async () => {
    expect(Buffer.compare(await writeUpdate(sampleUpdate()), whole)).toBe(0);
  });

  it('gives other bytes for other contents', async () => {
    expect(Buffer.compare(await writeUpdate(sampleUpdate({ description: 'other' })), whole)).not.toBe(0);
  });

  it('writes what tar and sha256sum read', () => {
    const folder = mkdtempSync(join(tmpdir(), 'ksplice update '));
    try {
      writeFileSync(join(folder, FILE), whole);
      const listing = execFileSync('tar', ['-tvf', FILE], { cwd: folder, encoding: 'utf8' });
      expect(listing.trim().split('\n')).toHaveLength(members.length);
      expect(listing).toMatch(/^-rw-r--r-- 0\/0 +\d+ 1970-01-01 .* manifest\.json$/m);
      execFileSync('tar', ['-xf', FILE], { cwd: folder });
      const check = execFileSync('sha256sum', ['-c', 'manifest.sha256'], { cwd: folder, encoding: 'utf8' });
      expect(check).toBe('manifest.json: OK\n');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('refuses contents that could not be read again', async () => {
    await expect(writeUpdate(sampleUpdate({ description: 'a\u001b[2Jb' }))).rejects.toThrow(/description/);
    await expect(writeUpdate(sampleUpdate({ id: 'control' }))).rejects.toThrow(/id/);
  });
});

describe('readUpdate', () => {
  it('gives back what was written', async () => {
    const update = readUpdate(whole, FILE);
    const { manifest, digest, ...contents } = update;
    expect(contents).toEqual(sampleUpdate());
    expect(manifest.units[0]?.pre).toMatchObject({ file: 'units/0/pre.o', size: 1500 });
    expect(digest).toMatch(/^[0-9a-f]{64}$/);
  });

  it('refuses a file cut short anywhere', async () => {
    for (let length = 0; length < whole.length; length += length % 512 < 3 ? 1 : 97) {
      refusal(whole.subarray(0, length));
    }
    refusal(whole.subarray(0, -1));
    const core = members.find(({ name }) => name === 'core.ko')?.offset ?? 0;
    const error = refusal(whole.subarray(0, core + 512 + 700));
    expect(error.message).toContain('core.ko: found 700 bytes left in the file, expected 2048');
    expect(error.hint).toContain('cut short');
  });

  it('refuses anything behind the end', async () => {
    for (const length of [1, 511, 512, 1024, 10240]) {
      const error = refusal(Buffer.concat([whole, new Uint8Array(length)]));
      expect(error.message).toContain('at the end');
    }
  });

  it('refuses an altered byte anywhere in a member, its header or its padding', async () => {
    for (const [index, { offset, bytes, name }] of members.entries()) {
      const end = members[index + 1]?.offset ?? whole.length;
      const places = new Set([
        0,
        100,
        136,
        156,
        257,
        345,
        500,
        512,
        512 + (bytes.length >> 1),
        end - offset - 1,
      ]);
      for (const place of places) {
        for (const flip of [0x01, 0x80]) {
          const altered = new Uint8Array(whole);
          altered[offset + place] = (altered[offset + place] ?? 0) ^ flip;
          const error = refusal(altered);
          if (place === 136) {
            expect(error.message).toContain('checksum');
          }
          if (place === 512) {
            expect(error.message).toContain(name.startsWith('manifest') ? 'manifest.' : name);
          }
        }
      }
    }
  });

  it('names the member, and what was found and expected', async () => {
    const altered = new Uint8Array(whole);
    const core = members.find(({ name }) => name === 'core.ko');
    altered[(core?.offset ?? 0) + 600] = 0;
    const error = refusal(altered);
    expect(error.details).toMatchObject({ file: FILE, place: 'core.ko' });
    expect(error.message).toMatch(/core\.ko: found SHA-256 [0-9a-f]{64}, expected [0-9a-f]{64}/);
  });

  it.for([
    ['../core.ko', '../core.ko'],
    ['/etc/passwd', '/etc/passwd'],
    ['units/../core.ko', 'units/../core.ko'],
    ['units/00/pre.o', 'units/00/pre.o'],
    ['./patch', './patch'],
    ['signatures', 'a member that an update file has'],
    ['signature', 'signature: found'],
    ['units/2/pre.o', 'units/2/pre.o'],
    ['core.ko', 'a second core.ko'],
    [`units/${'0/'.repeat(80)}pre.o`, 'pre.o'],
    ['\u001b[2J', '\\u001b'],
  ])('refuses a member named %j', async ([name, expected]) => {
    const error = refusal(await repack(() => ({}), [extraFile(name ?? '')]));
    expect(error.message).toContain(expected);
  });

  it.for(['symlink', 'link', 'directory', 'fifo', 'character-device', 'block-device', 'pax-header'] as const)(
    'refuses a %s',
    async (type) => {
      const added = await repack(
        () => ({}),
        [{ header: { name: 'patch', size: 0, type, linkname: '/etc/passwd', mtime: new Date(0) } }],
      );
      expect(refusal(added).message).toContain('regular file');
      const replaced = await repack(({ name }) =>
        name === 'stub.o' ? { header: { type, size: 0, linkname: 'core.ko' }, bytes: new Uint8Array() } : {},
      );
      expect(refusal(replaced).message).toContain('regular file');
    },
  );

  it.for([{ mode: 0o755 }, { uid: 1000 }, { gid: 5 }, { mtime: new Date(5000) }, { uname: 'root' }])(
    'refuses a header with %o, though its checksum is right',
    async (header) => {
      const error = refusal(await repack(({ name }) => (name === 'core.ko' ? { header } : {})));
      expect(error.message).toContain('core.ko');
    },
  );

  it('refuses a missing member, and members in another order', async () => {
    for (const missing of members) {
      const error = refusal(await packList(members.filter((member) => member !== missing)));
      expect(error.message).toContain(missing.name);
    }
    expect(refusal(await packList(members.toReversed())).message).toContain('member 1');
  });

  it('refuses absurd sizes for what the header says', async () => {
    for (const digits of ['77777777777', '00400000001', '-0000000001', '0x000000001', '          12']) {
      const altered = new Uint8Array(whole);
      const at = members.find(({ name }) => name === 'core.ko')?.offset ?? 0;
      altered.set(new TextEncoder().encode(digits), at + 124);
      fixChecksum(altered.subarray(at, at + 512));
      expect(refusal(altered).message).toContain('core.ko');
    }
    const huge = new Uint8Array(whole);
    huge.set([0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 124);
    fixChecksum(huge.subarray(0, 512));
    expect(refusal(huge).message).toContain('octal');
  });

  it('refuses a manifest of more than 4 MB without parsing it', async () => {
    const error = refusal(await onManifest((text) => `${text}${' '.repeat(4 * 1024 * 1024)}`));
    expect(error.message).toContain('4194304');
  });

  it('refuses a manifest whose SHA-256 is not the one beside it', async () => {
    const error = refusal(await onManifest((text) => text.replace('6.1.0-47', '6.1.0-48')));
    expect(error.message).toContain('manifest.sha256');
  });

  it('reads the empty file, a text and a gzip as what they are: no update', async () => {
    expect(refusal(new Uint8Array()).message).toContain('0 bytes');
    expect(refusal(new TextEncoder().encode('hello\n'.repeat(1000))).message).toContain('ustar');
    refusal(new Uint8Array([0x1f, 0x8b, ...new Uint8Array(1022)]));
    refusal(new Uint8Array(1024));
  });
});

describe('readUpdateFile', () => {
  it('says that there is no such file, and refuses what is no regular file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ksplice update '));
    try {
      expect(() => readUpdateFile(join(folder, 'none.ksplice'))).toThrow(UsageError);
      expect(() => readUpdateFile(folder)).toThrow(FormatError);
      execFileSync('mkfifo', [join(folder, 'fifo')]);
      expect(() => readUpdateFile(join(folder, 'fifo'))).toThrow(/no regular file/);
      writeFileSync(join(folder, FILE), whole);
      expect(readUpdateFile(join(folder, FILE)).id).toBe('sample_1');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

function fixChecksum(header: Uint8Array): void {
  header.fill(0x20, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.set(new TextEncoder().encode(`${sum.toString(8).padStart(6, '0')}\0 `), 148);
}
