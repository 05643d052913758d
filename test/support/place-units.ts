import type { ObjectRecord, RelocationRecord, SectionRecord } from './elf-builder.ts';
import { hexToBytes } from './hex-table.ts';
import { paravirt } from './small-kernel.ts';

const zeroes = (count: number): number[] => Array.from({ length: count }, () => 0);

/** `before`, then the place at 2, then a return that nobody rewrites. */
function unit(
  place: string,
  relocations: readonly RelocationRecord[],
  tables: Readonly<Record<string, SectionRecord>>,
): ObjectRecord {
  const code = [...hexToBytes(`31 c0 ${place}`), 0xc3];
  return {
    sections: { '.text': { bytes: code, relocations }, ...tables },
    symbols: {
      f: { section: '.text', type: 'func', size: code.length },
      __x86_return_thunk: { binding: 'global' },
    },
  };
}

const site = (table: string, size: number, type: string): Record<string, SectionRecord> => ({
  [table]: { bytes: zeroes(size), relocations: [[0, type, '.text', 2]] },
});

const alternatives = (
  length: number,
  entries: readonly { feature: number; bytes: string; relocations?: readonly RelocationRecord[] }[],
): Record<string, SectionRecord> => {
  const table: number[] = [];
  const replacement: number[] = [];
  const relocations: RelocationRecord[] = [];
  const moved: RelocationRecord[] = [];
  for (const { feature, bytes, relocations: own = [] } of entries) {
    const code = hexToBytes(bytes);
    const at = table.length;
    relocations.push([at, 'PC32', '.text', 2], [at + 4, 'PC32', '.altinstr_replacement', replacement.length]);
    table.push(...zeroes(8), feature & 0xff, feature >> 8, length, code.length);
    for (const [offset, ...rest] of own) moved.push([offset + replacement.length, ...rest]);
    replacement.push(...code);
  }
  return {
    '.altinstructions': { bytes: table, relocations },
    '.altinstr_replacement': { bytes: replacement, relocations: moved, flags: 6 },
  };
};

/** A unit for each kind of place. */
export const units = {
  fentry: unit('e8 00 00 00 00', [[3, 'PLT32', '__fentry__', -4]], site('__mcount_loc', 8, '64')),
  return: unit('e9 00 00 00 00', [[3, 'PLT32', '__x86_return_thunk', -4]], site('.return_sites', 4, 'PC32')),
  call: unit(
    'e8 00 00 00 00',
    [[3, 'PLT32', '__x86_indirect_thunk_rdx', -4]],
    site('.retpoline_sites', 4, 'PC32'),
  ),
  callLong: unit(
    '2e e8 00 00 00 00',
    [[4, 'PLT32', '__x86_indirect_thunk_r11', -4]],
    site('.retpoline_sites', 4, 'PC32'),
  ),
  jmp: unit(
    'e9 00 00 00 00',
    [[3, 'PLT32', '__x86_indirect_thunk_rax', -4]],
    site('.retpoline_sites', 4, 'PC32'),
  ),
  jcc: unit(
    '0f 85 00 00 00 00',
    [[4, 'PLT32', '__x86_indirect_thunk_rdi', -4]],
    site('.retpoline_sites', 4, 'PC32'),
  ),
  lock: unit('f0 ff 00', [], site('.smp_locks', 4, 'PC32')),
  /** alternative("call memcpy_slow", "call memcpy_fast", 20) */
  altCall: unit(
    'e8 00 00 00 00',
    [[3, 'PLT32', 'memcpy_slow', -4]],
    alternatives(5, [
      { feature: 20, bytes: 'e8 00 00 00 00', relocations: [[1, 'PLT32', 'memcpy_fast', -4]] },
    ]),
  ),
  /** An alternative that is no other than the original. */
  altSame: unit('0f 1f 44 00 00', [], alternatives(5, [{ feature: 20, bytes: '0f 1f 44 00 00' }])),
  /** alternative("", "stac", 20), and a longer one with a lfence: padded */
  altPadded: unit(
    '0f ae f0 90 90 90',
    [],
    alternatives(6, [
      { feature: 20, bytes: '0f 01 cb' },
      { feature: 21, bytes: '0f 01 cb 0f ae e8' },
    ]),
  ),
  /** alternative("...", "jmp 1f", 20) within the function: recomputed to a short jump */
  altJump: unit(
    '90 90 90 90 90',
    [],
    alternatives(5, [{ feature: 20, bytes: 'e9 00 00 00 00', relocations: [[1, 'PC32', 'f', 3]] }]),
  ),
  paravirt: unit('ff 14 25 00 00 00 00', [[5, '32S', 'pv_ops', paravirt.call * 8]], {
    '.parainstructions': {
      bytes: [...zeroes(8), paravirt.call, 7, ...zeroes(6)],
      relocations: [[0, '64', '.text', 2]],
    },
  }),
  paravirtNop: unit('ff 14 25 00 00 00 00', [[5, '32S', 'pv_ops', paravirt.nop * 8]], {
    '.parainstructions': {
      bytes: [...zeroes(8), paravirt.nop, 7, ...zeroes(6)],
      relocations: [[0, '64', '.text', 2]],
    },
  }),
  paravirtMissing: unit('ff 14 25 00 00 00 00', [[5, '32S', 'pv_ops', paravirt.missing * 8]], {
    '.parainstructions': {
      bytes: [...zeroes(8), paravirt.missing, 7, ...zeroes(6)],
      relocations: [[0, '64', '.text', 2]],
    },
  }),
  /** PVOP_ALT: a paravirt call that becomes `cli` where there is no hypervisor */
  paravirtInAlternative: unit('ff 14 25 00 00 00 00', [[5, '32S', 'pv_ops', paravirt.call * 8]], {
    ...alternatives(8, [{ feature: 20, bytes: 'fa' }]),
    '.parainstructions': {
      bytes: [...zeroes(8), paravirt.call, 7, ...zeroes(6)],
      relocations: [[0, '64', '.text', 2]],
    },
  }),
  label: unit('0f 1f 44 00 00 90 90', [], {
    __jump_table: {
      bytes: zeroes(16),
      relocations: [
        [0, 'PC32', '.text', 2],
        [4, 'PC32', '.text', 9],
        [8, 'PC64', 'key', 0],
      ],
    },
  }),
  labelShort: unit('66 90 90 90', [], {
    __jump_table: {
      bytes: zeroes(16),
      relocations: [
        [0, 'PC32', '.text', 2],
        [4, 'PC32', '.text', 0],
        [8, 'PC64', 'key', 1],
      ],
    },
  }),
  staticCall: unit('e8 00 00 00 00', [[3, 'PLT32', '__SCT__x', -4]], {
    '.static_call_sites': {
      bytes: zeroes(8),
      relocations: [
        [0, 'PC32', '.text', 2],
        [4, 'PC32', '__SCK__x', 0],
      ],
    },
  }),
  staticTail: unit('e9 00 00 00 00', [[3, 'PLT32', '__SCT__x', -4]], {
    '.static_call_sites': {
      bytes: zeroes(8),
      relocations: [
        [0, 'PC32', '.text', 2],
        [4, 'PC32', '__SCK__x', 1],
      ],
    },
  }),
  staticJcc: unit('0f 84 00 00 00 00', [[4, 'PLT32', '__SCT__x', -4]], {
    '.static_call_sites': {
      bytes: zeroes(8),
      relocations: [
        [0, 'PC32', '.text', 2],
        [4, 'PC32', '__SCK__x', 1],
      ],
    },
  }),
} as const satisfies Record<string, ObjectRecord>;

export type UnitName = keyof typeof units;
