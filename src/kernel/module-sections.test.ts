import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readModuleSections } from './module-sections.ts';

describe('readModuleSections', () => {
  let root: string;

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'ksplice-sections-'));
    const directory = join(root, 'veth', 'sections');
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, '.text'), '0xffffffffc0a1b000\n');
    writeFileSync(join(directory, '__bug_table'), '0xffffffffc0a1e010\n');
    // Hidden from who may not see addresses; and something else altogether.
    writeFileSync(join(directory, '.bss'), '0x0000000000000000\n');
    writeFileSync(join(directory, '.data'), 'no address\n');
  });

  afterAll(() => {
    rmSync(root, { recursive: true, force: true });
  });

  it('has what sysfs lists, by name', () => {
    expect(readModuleSections('veth', root)).toEqual(
      new Map([
        ['.text', 0xffffffffc0a1b000n],
        ['__bug_table', 0xffffffffc0a1e010n],
      ]),
    );
  });

  it('is empty for a module that is not loaded', () => {
    expect(readModuleSections('other', root).size).toBe(0);
  });
});
