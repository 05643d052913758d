/** The symbols of a linked module, numbered as its relocations need them. */
import { InternalError } from '../diagnostics/error.ts';
import { STB_GLOBAL, STB_LOCAL, STT_FUNC, STT_NOTYPE, STT_SECTION } from '../elf/constants.ts';
import type { SymbolImage } from '../elf/image.ts';
import type { ElfSymbol } from '../elf/model.ts';
import type { Address } from '../kernel/address.ts';
import type { LivepatchSymbol, ModuleInput } from './link-object.ts';
import type { ModuleLayout } from './module-layout.ts';

/** Numbers the module's symbols as they are needed. */
export class ModuleSymbols {
  readonly symbols: SymbolImage[] = [];
  readonly #input: ModuleInput;
  readonly #layout: ModuleLayout;
  readonly #known = new Map<string, number>();

  constructor(input: ModuleInput, layout: ModuleLayout) {
    this.#input = input;
    this.#layout = layout;
  }

  #add(key: string, symbol: SymbolImage): number {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const number = this.symbols.push(symbol) - 1;
    this.#known.set(key, number);
    return number;
  }

  /** The section symbol of an output section. */
  section(output: number): number {
    return this.#add(`section ${output}`, {
      name: '',
      value: 0n,
      size: 0,
      binding: STB_LOCAL,
      type: STT_SECTION,
      visibility: 0,
      place: output,
    });
  }

  absolute(address: Address): number {
    return this.#add(`absolute ${address}`, {
      name: '',
      value: address,
      size: 0,
      binding: STB_LOCAL,
      type: STT_NOTYPE,
      visibility: 0,
      place: 'absolute',
    });
  }

  /** Found by the kernel's livepatch; global, as what it knows of other livepatch modules. */
  livepatch({ object, name, position }: LivepatchSymbol): number {
    const symbol = `.klp.sym.${object}.${name},${position}`;
    return this.#add(symbol, {
      name: symbol,
      value: 0n,
      size: 0,
      binding: STB_GLOBAL,
      type: STT_NOTYPE,
      visibility: 0,
      place: 'livepatch',
    });
  }

  /** Undefined, with its name: the only one that has to be global. */
  later(name: string): number {
    return this.#add(`later ${name}`, {
      name,
      value: 0n,
      size: 0,
      binding: STB_GLOBAL,
      type: STT_NOTYPE,
      visibility: 0,
      place: 'undefined',
    });
  }

  /** A symbol that an object defines. */
  defined(object: number, symbol: ElfSymbol): number {
    const input = this.#input.objects[object];
    const place = typeof symbol.place === 'number' ? this.#layout.placeOf(object, symbol.place) : undefined;
    if (input === undefined || place === undefined) {
      const path = input?.object.path ?? '?';
      throw new InternalError('unexpected', `${path}: ${symbol.name}: refers to a section that was left out`);
    }
    const suffix = symbol.type === STT_FUNC && !input.isModuleObject ? this.#input.functionSuffix : '';
    return this.#add(`symbol ${object}:${symbol.index}`, {
      name: symbol.name === '' ? '' : symbol.name + suffix,
      value: symbol.value + BigInt(place.offset),
      size: symbol.size,
      binding: STB_LOCAL,
      type: symbol.type,
      visibility: 0,
      place: place.output,
    });
  }
}
