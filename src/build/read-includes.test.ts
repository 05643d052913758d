import { describe, expect, it } from 'vitest';
import { readIncludes } from './read-includes.ts';

describe('the includes of a file', () => {
  it.each([
    ['#include <linux/fs.h>', 'path linux/fs.h'],
    ['  #  include\t"../local.h" /* why */', 'beside ../local.h'],
    ['/* a */ # /* b */ include <a.h>', 'path a.h'],
    ['#\\\n include <a.h>', 'path a.h'],
    ['#include_next <limits.h>', 'next limits.h'],
    ['#if 0\n#include "never.h"\n#endif', 'beside never.h'],
    [
      '#define GENL_MAGIC_INCLUDE_FILE <linux/drbd_genl.h>\n#include GENL_MAGIC_INCLUDE_FILE',
      'path linux/drbd_genl.h',
    ],
  ])('%s', (text, expected) => {
    expect(readIncludes(text).map(({ form, name }) => `${form} ${name}`)).toEqual([expected]);
  });

  it('are those of a trace header, which names itself in parts', () => {
    const text =
      '#undef TRACE_SYSTEM\n#define TRACE_SYSTEM xfs\n#define TRACE_INCLUDE_PATH ../../fs/xfs\n#define TRACE_INCLUDE_FILE xfs_trace\n';
    const names = readIncludes(text).map(({ form, name }) => `${form} ${name}`);
    expect(names).toContain('path trace/events/xfs.h');
    expect(names).toContain('tree include/trace/../../fs/xfs/xfs_trace.h');
  });

  it('are none for text that only speaks of them', () => {
    expect(readIncludes('// #include <a.h>\nint include; puts("#include <b.h>");')).toEqual([]);
  });
});
