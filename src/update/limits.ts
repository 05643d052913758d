/**
 * The most that an update file may hold. They are checked before anything is allocated or parsed: a
 * header that claims more is refused for what it claims.
 */
export const LIMITS = {
  /** Bytes of the whole file. */
  file: 256 * 1024 * 1024,
  /** Bytes of manifest.json. */
  manifest: 4 * 1024 * 1024,
  /** Bytes of the signature. */
  signature: 1024,
  /** Bytes of any other member. */
  member: 64 * 1024 * 1024,
  /** Units in one update; the kernel that this is for has about 2,200. */
  units: 4096,
  /** Whole modules in one update; that kernel has about 1,100. */
  modules: 1024,
  /** Vulnerabilities that one update names; a release of a distribution has fixed 1,000. */
  cves: 4096,
  /** Serial of a signature. Fifteen digits: a time in microseconds would do, too. */
  serial: 999_999_999_999_999,
  /** Updates that one is made on top of. */
  updatesBelow: 64,
} as const;
