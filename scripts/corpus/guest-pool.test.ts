import { expect, test } from 'vitest';
import { GuestPool } from './guest-pool.ts';

class FakeGuest {
  readonly number: number;
  closed = 0;

  constructor(number: number) {
    this.number = number;
  }

  async close(): Promise<void> {
    this.closed += 1;
    await Promise.resolve();
  }
}

function poolOf(most: number): { readonly pool: GuestPool<FakeGuest>; readonly all: FakeGuest[] } {
  const all: FakeGuest[] = [];
  const boot = async (): Promise<FakeGuest> => {
    const guest = new FakeGuest(all.length);
    all.push(guest);
    return await Promise.resolve(guest);
  };
  return { pool: new GuestPool(boot, most), all };
}

/** Number of the guest that it was. */
async function use(pool: GuestPool<FakeGuest>, isFit = true): Promise<number> {
  return await pool.use(async ({ number }) => await Promise.resolve({ result: number, isFit }));
}

test('a guest is used again, and replaced after its number of uses', async () => {
  const { pool, all } = poolOf(2);
  expect([await use(pool), await use(pool), await use(pool)]).toEqual([0, 0, 1]);
  expect(all.map(({ closed }) => closed)).toEqual([1, 0]);
});

test('a guest that is not fit any more is not used again', async () => {
  const { pool, all } = poolOf(25);
  expect([await use(pool, false), await use(pool)]).toEqual([0, 1]);
  expect(all.map(({ closed }) => closed)).toEqual([1, 0]);
});

test('nor is one in which something was thrown', async () => {
  const { pool, all } = poolOf(25);
  await expect(pool.use(async () => await Promise.reject(new Error('oops')))).rejects.toThrow('oops');
  expect(await use(pool)).toBe(1);
  expect(all.map(({ closed }) => closed)).toEqual([1, 0]);
});

test('uses at the same time are in guests of their own', async () => {
  const { pool } = poolOf(25);
  const gate = new AbortController();
  const held = pool.use(async ({ number }) => {
    await new Promise<void>((resolve) => {
      gate.signal.addEventListener('abort', () => resolve());
    });
    return { result: number, isFit: true };
  });
  expect(await use(pool)).toBe(1);
  gate.abort();
  expect(await held).toBe(0);
});

test('closing ends those that are in use, too, and none is kept after that', async () => {
  const { pool, all } = poolOf(25);
  await use(pool);
  await pool.use(async () => {
    await pool.close();
    return { result: 0, isFit: true };
  });
  expect(all.every(({ closed }) => closed > 0)).toBe(true);
  await use(pool);
  expect(all.at(-1)?.closed).toBeGreaterThan(0);
});

test('a pool that nobody asks boots nothing', async () => {
  const { pool, all } = poolOf(25);
  await pool.close();
  expect(all).toEqual([]);
});
