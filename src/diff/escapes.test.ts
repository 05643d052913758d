import { describe, expect, it } from 'vitest';
import { isTransientCallee } from './escapes.ts';

describe('isTransientCallee', () => {
  it.each([
    '_printk',
    '__warn_printk',
    '_dev_err',
    'seq_printf',
    'scnprintf',
    'strcmp',
    'memcpy',
    '__ext4_error_inode',
  ])('%s is done with its arguments when it returns', (name) => {
    expect(isTransientCallee(name)).toBe(true);
  });

  it.each([
    'kmem_cache_create',
    'proc_create',
    'alloc_workqueue',
    'printk_keeper',
    'register_sysctl',
    'mutex_init',
  ])('%s may keep them', (name) => {
    expect(isTransientCallee(name)).toBe(false);
  });
});
