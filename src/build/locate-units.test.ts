import { describe, expect, it } from 'vitest';
import { inGroups } from './locate-units.ts';

describe('files that kbuild is asked about', () => {
  const files = ['arch/x86/mm/a.c', 'fs/b.c', 'fs/c.c', 'fs/d.c'];

  it('are asked about apart from those in arch/ where that lets several be compiled at once', () => {
    expect(inGroups(files, 2)).toEqual([['arch/x86/mm/a.c'], ['fs/b.c', 'fs/c.c', 'fs/d.c']]);
  });

  it('are asked about together with one job, or where there are few others', () => {
    expect(inGroups(files, 1)).toEqual([files]);
    expect(inGroups(files.slice(0, 3), 2)).toEqual([files.slice(0, 3)]);
  });

  it('give no group without files', () => {
    expect(inGroups(files.slice(1), 2)).toEqual([files.slice(1)]);
    expect(inGroups(files.slice(0, 1), 2)).toEqual([files.slice(0, 1)]);
    expect(inGroups([], 2)).toEqual([]);
  });
});
