import { describe, expect, it } from 'vitest';
import { compareMemory, type MemoryUse, moduleAreas, parseMeminfo } from './memory-use.ts';

const MEMINFO = `MemTotal:        4022364 kB
Slab:             213000 kB
SReclaimable:     100000 kB
SUnreclaim:       113000 kB
VmallocTotal:   34359738367 kB
VmallocUsed:       12345 kB
Percpu:             1408 kB
`;

const VMALLOCINFO = `0xffffb1d580000000-0xffffb1d580005000   20480 dup_task_struct+0x4e/0x1b0 pages=4 vmalloc
0xffffffffc0000000-0xffffffffc0005000   20480 move_module+0x2c/0x190 pages=4 vmalloc
0xffffffffc0000000-0xffffffffc0005000   20480 load_module+0x2c/0x190 pages=4 vmalloc
0xffffb1d580010000-0xffffb1d580012000    8192 ksplice_map_sites+0x7d/0x130 [ksplice] vmap
`;

function use(SUnreclaim: number): MemoryUse {
  return { SUnreclaim, VmallocUsed: 10, Percpu: 5 };
}

describe('memory of the kernel', () => {
  it('is read from /proc/meminfo', () => {
    expect(parseMeminfo(MEMINFO)).toEqual({ SUnreclaim: 113_000, VmallocUsed: 12_345, Percpu: 1408 });
    expect(() => parseMeminfo('SUnreclaim: 1 kB\n')).toThrow(/no VmallocUsed/);
  });

  it('has areas for modules and for the core, and leaves out stacks', () => {
    expect(moduleAreas(VMALLOCINFO)).toEqual([20480, 20480, 8192]);
  });

  it('has leaked what is above the noise of the same load without us', () => {
    const quiet = [use(100), use(104), use(108)];
    const field = (after: readonly MemoryUse[]): unknown => compareMemory(quiet, after)[0];
    expect(field([use(110), use(111), use(112)])).toEqual({
      field: 'SUnreclaim',
      before: 104,
      after: 111,
      noise: 8,
      isWithinNoise: true,
    });
    expect(field([use(113), use(113), use(114)])).toMatchObject({ isWithinNoise: false });
    // Less than before is no leak.
    expect(field([use(10), use(10), use(10)])).toMatchObject({ isWithinNoise: true });
  });
});
