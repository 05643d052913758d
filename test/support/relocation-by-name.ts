import { relocationName } from '../../src/elf/constants.ts';

/** Number of a relocation type, by its name without `R_X86_64_`. */
export function relocationByName(name: string): number {
  for (let type = 0; type < 64; type++) {
    if (relocationName(type) === `R_X86_64_${name}`) return type;
  }
  throw new Error(`there is no relocation R_X86_64_${name}`);
}
