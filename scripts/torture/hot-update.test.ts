import { describe, expect, it } from 'vitest';
import { partsOfPatch } from './hot-update.ts';

const PATCH = '--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n-a\n+b\n--- a/y.c\n+++ b/y.c\n@@ -1 +1 @@\n-c\n+d\n';

describe('the patch of a short run', () => {
  it('is the parts that are asked for', () => {
    expect(partsOfPatch(PATCH, ['y.c'])).toBe('--- a/y.c\n+++ b/y.c\n@@ -1 +1 @@\n-c\n+d\n');
    expect(partsOfPatch(PATCH, undefined)).toBe(PATCH);
    expect(() => partsOfPatch(PATCH, ['z.c'])).toThrow(/does not change z.c/);
  });
});
