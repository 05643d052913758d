import { describe, expect, it } from 'vitest';
import { cacheDir } from './cache-dir.ts';

describe('cacheDir', () => {
  it('is below XDG_CACHE_HOME if that is an absolute path', () => {
    expect(cacheDir({ XDG_CACHE_HOME: '/var/c', HOME: '/home/u' })).toBe('/var/c/ksplice');
    expect(cacheDir({ XDG_CACHE_HOME: 'c', HOME: '/home/u' })).toBe('/home/u/.cache/ksplice');
    expect(cacheDir({ XDG_CACHE_HOME: '', HOME: '/home/u' })).toBe('/home/u/.cache/ksplice');
  });

  it('is below the home directory otherwise, of the user database if HOME is unset', () => {
    expect(cacheDir({ HOME: '/home/u' })).toBe('/home/u/.cache/ksplice');
    expect(cacheDir({})).toMatch(/^\/.*\/\.cache\/ksplice$/);
  });
});
