import { encodeChanges, type UpdateChanges } from '../../src/update/changes.ts';
import type { UpdateContents } from '../../src/update/update.ts';

/** Bytes that look like nothing else: a label, then a pattern. No multiple of 512, so that padding is there. */
function sampleObject(label: string, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let index = 0; index < length; index += 1) {
    bytes[index] = (index * 7 + label.length) & 0xff;
  }
  bytes.set(new TextEncoder().encode(label));
  return bytes;
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** What create would have recorded of the sample. */
export const sampleChanges: UpdateChanges = {
  format: 1,
  notes: ['Documentation/x.rst: ignored: no kernel code'],
  remarks: [
    { code: 'function_removed', severity: 'note', message: 'fs/pipe.o: pipe_poll is gone', hint: 'none' },
  ],
  same: ['fs/splice.o'],
  units: [
    {
      path: 'net/ipv4/ip_options.o',
      patched: ['net/ipv4/ip_options.c'],
      functions: [
        {
          name: 'ip_options_compile',
          why: ['bytes differ at +0x4'],
          code: [
            {
              file: 'net/ipv4/ip_options.c',
              function: 'ip_options_compile',
              isInlined: false,
              removed: [3],
              added: [3, 4],
            },
          ],
        },
      ],
      newData: [{ name: 'routes', size: 8, section: '.bss.routes' }],
      copiedData: [],
      removedFunctions: [],
      removedData: [],
      unchanged: 12,
      files: ['net/ipv4/ip_options.c'],
      lines: [{ name: 'ip_options_compile', rows: [0, 0, 3] }],
    },
    {
      path: 'fs/pipe.o',
      patched: ['include/linux/pipe_fs_i.h'],
      functions: [{ name: 'pipe_read', why: ['size 0x40, before 0x30'], code: [] }],
      newData: [],
      copiedData: [],
      removedFunctions: ['pipe_poll'],
      removedData: [],
      unchanged: 30,
      files: [],
      lines: [],
    },
  ],
};

/** The contents of a small update with two units and two patches, for tests of the file and of what reads it. */
export function sampleUpdate(changes: Partial<UpdateContents> = {}): UpdateContents {
  return {
    id: 'sample_1',
    description: 'ipv4: refuse source routes',
    matching: 'strict',
    cves: ['CVE-2026-9999', 'CVE-2026-53249'],
    on: [],
    kernel: {
      release: '6.1.0-47-cloud-amd64',
      version: '6.1.170-3',
      banner: 'Linux version 6.1.0-47-cloud-amd64 (debian-kernel@lists.debian.org)',
      arch: 'x86_64',
      compiler: 'gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0',
      vermagic: '6.1.0-47-cloud-amd64 SMP preempt mod_unload modversions ',
      moduleLayoutCrc: 0x9bbd_4a3c,
    },
    coreInterface: 1,
    patches: [
      { name: 'one.patch', bytes: text('--- a/net/ipv4/ip_options.c\n+++ b/net/ipv4/ip_options.c\n') },
      { name: 'two.patch', bytes: text('--- a/fs/pipe.c\n+++ b/fs/pipe.c\n') },
    ],
    units: [
      {
        path: 'net/ipv4/ip_options.o',
        source: 'net/ipv4/ip_options.c',
        target: 'vmlinux',
        pre: sampleObject('pre 0', 1500),
        replacement: sampleObject('replacement 0', 700),
        functions: [
          {
            name: 'ip_options_compile',
            preName: 'ip_options_compile',
            site: { offset: 5, size: 6 },
            needsLivepatch: null,
          },
        ],
        newFunctions: ['may_route', 'count_routes'],
        on: [],
        hooks: [{ kind: 'post_apply', name: 'count_routes' }],
        references: [
          {
            symbol: 'spec_dst_fill',
            scope: 'unit',
            preName: 'spec_dst_fill',
            kind: 'function',
            weak: false,
            pre: { section: '.text.spec_dst_fill', offset: 0, size: 80 },
          },
        ],
        escapes: { escapes: false, reasons: [] },
      },
      {
        path: 'fs/pipe.o',
        source: 'fs/pipe.c',
        target: 'vmlinux',
        pre: sampleObject('pre 1', 900),
        replacement: sampleObject('replacement 1', 512),
        functions: [
          {
            name: 'pipe_read',
            preName: 'pipe_read',
            site: { offset: 0, size: 5 },
            needsLivepatch: 'jump-label',
          },
        ],
        newFunctions: [],
        on: [],
        hooks: [],
        references: [],
        escapes: { escapes: true, reasons: ['pipe_confirm: its address is stored in pipe_ops'] },
      },
    ],
    modules: [],
    changes: encodeChanges(sampleChanges, 'sample_1.ksplice'),
    core: sampleObject('core', 2000),
    stub: sampleObject('stub', 600),
    livepatch: sampleObject('livepatch', 700),
    createdBy: 'ksplice 0.1.0',
    ...changes,
  };
}

/** The sample, with one unit in the kernel proper and one in a module that it carries as a whole. */
export function sampleWithModule(changes: Partial<UpdateContents> = {}): UpdateContents {
  const { units, ...sample } = sampleUpdate();
  const [kernel, other] = units;
  if (kernel === undefined || other === undefined) throw new RangeError('the sample has two units');
  return {
    ...sample,
    units: [
      kernel,
      { ...other, path: 'lib/raid6/raid6-pq.o', source: 'lib/raid6/raid6-pq.c', target: 'raid6_pq' },
    ],
    modules: [
      {
        name: 'raid6_pq',
        file: 'raid6-pq.ko',
        srcversion: '0123456789ABCDEF01234567',
        bytes: sampleObject('raid6-pq.ko', 1200),
      },
    ],
    ...changes,
  };
}
