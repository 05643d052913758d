/**
 * The guide for authors: what it shows is what `create` prints, what it quotes is part of a patch that runs in a guest, and
 * whatever differencing has to say is explained in it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readDocument } from '../support/documents/read-document.ts';
import { complaint, DocumentMachines } from '../support/documents/run-document.ts';
import { CHECKOUT } from '../support/live/host-cli.ts';
import { testCacheDir } from '../support/vm/test-kernel.ts';

function read(path: string): string {
  return readFileSync(join(CHECKOUT, path), 'utf8');
}

describe('the guide for authors', () => {
  const guide = read('docs/authors.md');

  it('shows what create prints', { timeout: 300_000 }, async () => {
    const machines = await DocumentMachines.make(join(testCacheDir(), 'test-authors-guide'));
    const commands = readDocument(guide);
    expect(commands.length).toBeGreaterThan(1);
    for (const shown of commands) {
      expect(complaint(shown, await machines.run(shown))).toBeUndefined();
    }
  });

  it('explains each code of differencing once', () => {
    const codes = [...read('src/diff/diagnostic.ts').matchAll(/^ {2}\| '([a-z_]+)'/gm)].map(
      ([, code = '']) => code,
    );
    const [, below = ''] = guide.split('\n## What `create` says, and what to do\n');
    const heads = below
      .split('\n')
      .flatMap((line) =>
        line.startsWith('**Noted**') ? [line] : (/^\| (`.*?`) \|/.exec(line)?.slice(1) ?? []),
      );
    const explained = [...heads.join(' ').matchAll(/`([a-z_]+)`/g)].map(([, code = '']) => code);
    expect(explained.toSorted()).toEqual(codes.toSorted());
  });

  it('names every macro of the headers', () => {
    const macros = ['include/ksplice-patch.h', 'include/ksplice-shadow.h'].flatMap((file) =>
      [...read(file).matchAll(/^#define (ksplice_[a-z_]+|[A-Z_]*SHADOW[A-Z_]*)\(/gm)].map(
        ([, name = '']) => name,
      ),
    );
    expect(macros.length).toBeGreaterThan(10);
    for (const macro of macros) expect(guide).toContain(macro);
  });
});
