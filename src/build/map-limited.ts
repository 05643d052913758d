/**
 * Runs `action` for every item, at most `limit` at a time, and returns the results in the items' order.
 * After a failure nothing new is started; what runs is awaited, then the first failure is thrown.
 */
export async function mapLimited<T, R>(
  items: readonly T[],
  limit: number,
  action: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const results = new Map<number, R>();
  let next = 0;
  let failed = false;
  const worker = async (): Promise<void> => {
    for (;;) {
      const index = next++;
      const item = items[index];
      if (failed || index >= items.length || item === undefined) return;
      try {
        results.set(index, await action(item));
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const count = Math.max(1, Math.min(limit, items.length));
  const ends = await Promise.allSettled(Array.from({ length: count }, worker));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  return [...results.entries()].sort(([a], [b]) => a - b).map(([, result]) => result);
}
