/**
 * What Debian's update of the test kernel changes, file by file, for tests that make updates of it. The files are named
 * here, all of them: they are taken out of the package together, since going through it takes ten seconds.
 */
import { splitReleaseDiff } from '../../../scripts/corpus/release-patches.ts';
import { debianDiff } from '../../../src/debian/debian-diff.ts';
import { testCacheDir } from '../vm/test-kernel.ts';

/** The two versions of Debian's package. */
const FROM = '6.1.170-3';
const TO = '6.1.176-1';

const FILES = [
  'drivers/video/fbdev/core/fb_defio.c',
  'fs/binfmt_elf.c',
  'fs/eventpoll.c',
  'fs/smb/server/auth.c',
  'net/ceph/crush/crush.c',
  'net/core/net-procfs.c',
  'net/ipv4/ip_options.c',
  'net/ipv4/netfilter/iptable_raw.c',
  'net/netfilter/xt_cpu.c',
  'net/netfilter/xt_mac.c',
  'net/netfilter/xt_realm.c',
  'net/sched/em_nbyte.c',
  'net/sctp/stream.c',
] as const;

export type ReleaseFile = (typeof FILES)[number];

/** The change of one file, with -p1 paths. */
export async function releaseFix(file: ReleaseFile): Promise<string> {
  const diff = await debianDiff(FROM, TO, { cacheDir: testCacheDir(), files: FILES });
  const patch = splitReleaseDiff(diff).find((each) => each.file === file);
  if (patch === undefined) throw new Error(`${file}: not changed from ${FROM} to ${TO}`);
  return patch.text;
}
