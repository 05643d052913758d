import { loadDecoder } from '../x86/decoder.ts';
import type { MatchMode, MatchOptions } from './match-unit.ts';

/** What `matchUnit` needs for a mode: tolerant matching decodes instructions. */
export async function modeOptions(mode: MatchMode): Promise<Pick<MatchOptions, 'tolerant'>> {
  return mode === 'strict' ? {} : { tolerant: { decoder: await loadDecoder() } };
}
