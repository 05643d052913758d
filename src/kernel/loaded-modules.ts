/**
 * /proc/modules: `veth 45056 0 - Live 0xffffffffc0a1b000`.
 */
import { toAddress } from './address.ts';
import type { LoadedModule } from './kernel.ts';

/** Lines that do not have the six fields are passed over: the format only ever grew at the end. */
export function parseModules(text: string): readonly LoadedModule[] {
  const modules: LoadedModule[] = [];
  for (const line of text.split('\n')) {
    const [name, size, , , state, base] = line.split(' ');
    if (name === undefined || size === undefined || base === undefined) continue;
    modules.push({ name, size: Number(size), base: toAddress(BigInt(base)), live: state === 'Live' });
  }
  return modules;
}
