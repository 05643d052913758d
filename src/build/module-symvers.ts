import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { FormatError, MissingError } from '../diagnostics/error.ts';

/**
 * CRC of a symbol that vmlinux exports, from a Module.symvers file or a directory that has one
 * (`/usr/src/linux-headers-*`; a tree that was built whole).
 *
 * A line is `0xCRC<tab>symbol<tab>vmlinux<tab>EXPORT_SYMBOL<tab>namespace`. The CRC covers the types that
 * the symbol's declaration reaches and cannot be had without a build of the whole kernel.
 */
export async function readSymbolCrc(place: string, symbol: string): Promise<number> {
  const isDirectory = (await stat(place).catch(() => undefined))?.isDirectory() === true;
  const file = isDirectory ? path.join(place, 'Module.symvers') : place;
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new MissingError('unknown_kernel', `no Module.symvers of the kernel: ${file} cannot be read`, {
      hint: "install the kernel's headers (linux-headers-*), or put the Module.symvers of its build there",
      cause,
    });
  });
  const crc = new RegExp(`^0x([0-9a-f]{8})\\t${symbol}\\tvmlinux\\t`, 'm').exec(text)?.[1];
  if (crc === undefined)
    throw new FormatError('malformed_object', `${file}: no line for ${symbol} of vmlinux`);
  return Number.parseInt(crc, 16);
}
