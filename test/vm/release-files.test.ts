/**
 * A dozen files of Debian's update, chosen from the corpus (docs/coverage.md) for being different: each alone is made
 * into an update that fits the kernel at rest, or ends as it must.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { mapLimited } from '../../src/build/map-limited.ts';
import { debianSources } from '../../src/debian/debian-sources.ts';
import { hostBundle, hostKsplice } from '../support/live/host-cli.ts';
import { type ReleaseFile, releaseFix } from '../support/live/release-fixes.ts';
import { updateFile } from '../support/live/update-file.ts';
import { TEST_RELEASE, testCacheDir } from '../support/vm/test-kernel.ts';

interface Expected {
  readonly what: string;
  readonly file: ReleaseFile;
  /** Functions that are replaced and new ones, by unit and name; or the codes of what is wrong. */
  readonly ends: readonly string[];
}

const FILES: readonly Expected[] = [
  { what: 'one function of a small module', file: 'net/sched/em_nbyte.c', ends: ['em_nbyte_match'] },
  {
    what: 'a field that six functions free',
    file: 'net/ceph/crush/crush.c',
    ends: [
      'crush_destroy_bucket',
      'crush_destroy_bucket_list',
      'crush_destroy_bucket_straw',
      'crush_destroy_bucket_straw2',
      'crush_destroy_bucket_tree',
      'crush_destroy_bucket_uniform',
    ],
  },
  {
    what: 'a new function that others call',
    file: 'net/sctp/stream.c',
    ends: [
      'new sctp_stream_outq_migrate',
      'sctp_process_strreset_resp',
      'sctp_stream_init',
      'sctp_stream_update',
    ],
  },
  { what: 'an object of no bytes', file: 'fs/smb/server/auth.c', ends: ['ksmbd_crypt_message'] },
  {
    what: 'a clone, and operations that are stored',
    file: 'net/core/net-procfs.c',
    ends: ['dev_proc_net_init', 'ptype_get_idx.isra.0', 'ptype_seq_next', 'ptype_seq_show'],
  },
  { what: 'a source of two units', file: 'fs/binfmt_elf.c', ends: ['elf_core_dump', 'elf_core_dump'] },
  { what: 'nothing that this configuration compiles', file: 'net/netfilter/xt_cpu.c', ends: ['no_change'] },
  { what: 'a value of existing data', file: 'net/netfilter/xt_realm.c', ends: ['data_changed'] },
  { what: 'a table that grows', file: 'net/netfilter/xt_mac.c', ends: ['data_layout_changed'] },
  { what: 'a struct that grows', file: 'fs/eventpoll.c', ends: ['type_layout_changed'] },
  {
    what: 'what is done when a module goes',
    file: 'net/ipv4/netfilter/iptable_raw.c',
    ends: ['exit_code_changed'],
  },
  {
    what: 'a half whose other half is in a header',
    file: 'drivers/video/fbdev/core/fb_defio.c',
    ends: ['compile_failed'],
  },
];

const createdSchema = v.object({ functions: v.array(v.string()), newFunctions: v.array(v.string()) });
const errorSchema = v.object({
  code: v.string(),
  details: v.optional(
    v.object({
      diagnostics: v.optional(v.array(v.object({ code: v.string(), severity: v.string() }))),
    }),
  ),
});
const checkedSchema = v.object({ units: v.array(v.object({ unit: v.string(), matches: v.boolean() })) });

/** How each file ended. */
const ends = new Map<ReleaseFile, readonly string[]>();
let folder: string;

beforeAll(async () => {
  // Prepares the kernel's tree where the cache is empty.
  await updateFile();
  const bundle = await hostBundle();
  const { image, modules } = await debianSources(TEST_RELEASE, {
    cacheDir: testCacheDir(),
    parts: ['image'],
  });
  folder = await mkdtemp(join(tmpdir(), 'ksplice-files-'));
  await mapLimited(FILES, 2, async ({ file }) => {
    const work = join(folder, file.replaceAll('/', '_'));
    await mkdir(work);
    await writeFile(join(work, 'fix.patch'), await releaseFix(file));
    const create = [
      'create',
      '--patch=fix.patch',
      `--kernel=${TEST_RELEASE}`,
      '--jobs=1',
      '--json',
      '-o',
      'u.ksplice',
    ];
    const made = await hostKsplice(bundle, create, work);
    if (made.exitCode !== 0) {
      ends.set(file, codesOf(made.stdout));
      return;
    }
    const { functions, newFunctions } = v.parse(createdSchema, JSON.parse(made.stdout));
    const check = ['check', 'u.ksplice', '--image', image, '--modules', modules, '--json'];
    const checked = await hostKsplice(bundle, check, work);
    const fits =
      checked.exitCode === 0 &&
      v.parse(checkedSchema, JSON.parse(checked.stdout)).units.every(({ matches }) => matches);
    ends.set(file, [
      ...(fits ? [] : [`does not fit: ${checked.stdout}${checked.stderr}`]),
      ...[...newFunctions.map((name) => `new ${name}`), ...functions].toSorted(),
    ]);
  });
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Of all refusals, or the error's own. */
function codesOf(stdout: string): readonly string[] {
  const { code, details } = v.parse(errorSchema, JSON.parse(stdout));
  const errors = (details?.diagnostics ?? []).filter(({ severity }) => severity === 'error');
  return errors.length === 0 ? [code] : [...new Set(errors.map((each) => each.code))].toSorted();
}

it.each(FILES)('$what: $file', ({ file, ends: expected }) => {
  expect(ends.get(file)).toEqual(expected);
});
