import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeWhole } from './write-whole.ts';

describe('writeWhole', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ksplice-write-'));
  });

  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('takes the place of what is there, and leaves nothing beside it', async () => {
    const file = join(folder, 'stamp');
    writeFileSync(file, 'old');
    chmodSync(file, 0o600);
    await writeWhole(file, 'new');
    expect(readFileSync(file, 'utf8')).toBe('new');
    expect(statSync(file).mode & 0o777).toBe(0o644);
    expect(readdirSync(folder)).toEqual(['stamp']);
  });

  it('does not write through a link', async () => {
    const other = join(folder, 'other');
    writeFileSync(other, 'old');
    symlinkSync(other, join(folder, 'link'));
    await writeWhole(join(folder, 'link'), 'new');
    expect(readFileSync(other, 'utf8')).toBe('old');
  });

  it('leaves nothing beside the place that it could not write', async () => {
    const taken = join(folder, 'taken');
    mkdirSync(join(taken, 'inside'), { recursive: true });
    await expect(writeWhole(taken, 'new')).rejects.toMatchObject({ syscall: 'rename' });
    expect(readdirSync(folder)).toEqual(['taken']);
  });
});
