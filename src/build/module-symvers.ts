/**
 * Module.symvers: what a kernel exports, of vmlinux and of all of its modules.
 *
 * A line is `0xCRC<tab>symbol<tab>vmlinux<tab>EXPORT_SYMBOL<tab>namespace`; the third field is the module's path where
 * it is not vmlinux (`net/8021q/8021q`). The CRC covers the types that the symbol's declaration reaches and
 * cannot be had without a build of the whole kernel.
 */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { FormatError, MissingError } from '../diagnostics/error.ts';

/**
 * CRC of a symbol that vmlinux exports, from a Module.symvers file or a directory that has one
 * (`/usr/src/linux-headers-*`; a tree that was built whole).
 *
 * A line is `0xCRC<tab>symbol<tab>vmlinux<tab>EXPORT_SYMBOL<tab>namespace`. The CRC covers the types that
 * the symbol's declaration reaches (export-crcs.ts).
 */
export async function readSymbolCrc(place: string, symbol: string): Promise<number> {
  const { file, text } = await readSymvers(place);
  const crc = new RegExp(`^0x([0-9a-f]{8})\\t${symbol}\\tvmlinux\\t`, 'm').exec(text)?.[1];
  if (crc === undefined)
    throw new FormatError('malformed_object', `${file}: no line for ${symbol} of vmlinux`);
  return Number.parseInt(crc, 16);
}

/** CRCs of everything that the kernel and its modules export, by name. Throws MissingError. */
export async function readExportCrcs(place: string): Promise<ReadonlyMap<string, number>> {
  const { text } = await readSymvers(place);
  return new Map(
    [...text.matchAll(/^0x([0-9a-f]{8})\t(\S+)\t/gm)].map(
      ([, crc = '', name = '']) => [name, Number.parseInt(crc, 16)] as const,
    ),
  );
}

/** The file's text, of a Module.symvers or a directory that has one (`/usr/src/linux-headers-*`). Throws MissingError. */
export async function readSymvers(place: string): Promise<{ readonly file: string; readonly text: string }> {
  const isDirectory = (await stat(place).catch(() => undefined))?.isDirectory() === true;
  const file = isDirectory ? path.join(place, 'Module.symvers') : place;
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new MissingError('unknown_kernel', `no Module.symvers of the kernel: ${file} cannot be read`, {
      hint: "install the kernel's headers (linux-headers-*), or put the Module.symvers of its build there",
      cause,
    });
  });
  return { file, text };
}

/** What one module exports, and the lines of everybody else. */
export interface ModuleExports {
  /** CRCs as they stand there (`0x1a2b3c4d`), by symbol. */
  readonly own: ReadonlyMap<string, string>;
  /** A Module.symvers without this module. */
  readonly others: string;
}

/** `module`: the path of its object without suffix. */
export function splitExports(symvers: string, module: string): ModuleExports {
  const own = new Map<string, string>();
  const others: string[] = [];
  for (const line of symvers.split('\n')) {
    const [crc = '', symbol = '', owner] = line.split('\t');
    if (owner === module) own.set(symbol, crc);
    else others.push(line);
  }
  return { own, others: others.join('\n') };
}
