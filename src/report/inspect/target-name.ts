/**
 * What a reference is called where people read it, and a key that is the same in another build.
 *
 * Strings and small constants have no names, and lie in other sections in a replacement object than in a unit: there those
 * of all units lie together (diff/layout-kept.ts). So they are shown and compared by their contents.
 */
import { baseName, coldParent } from '../../diff/base-name.ts';
import { type Target, targetText } from '../../diff/target.ts';
import type { Unit } from '../../diff/unit.ts';
import { printable } from '../printable.ts';

export interface TargetName {
  /** `kfree`, `foo+0x8`, `"some text"`. */
  readonly text: string;
  readonly key: string;
}

/** Characters of a string that are shown. */
const LONGEST = 60;
/** `.rodata.cst16`: constants of 16 bytes. */
const CONSTANTS = /^\.rodata\.cst(\d+)/;

function stringAt(data: Uint8Array, offset: number): string | undefined {
  const end = offset < 0 ? -1 : data.indexOf(0, offset);
  return end < 0 ? undefined : Buffer.from(data.subarray(offset, end)).toString('latin1');
}

/** @param whole the function that the reference is in, without the end of a cold part's name */
export function nameTarget(unit: Unit, target: Target, whole: string): TargetName {
  const text = printable(targetText(target));
  if (target.kind === 'external') return { text, key: `${baseName(target.name)}+${target.offset}` };
  if (target.kind === 'item') {
    const { item, offset } = target;
    const isOwn = item.kind === 'function' && (coldParent(item.name) ?? item.name) === whole;
    return { text, key: isOwn ? 'itself' : `${item.base}+${offset}` };
  }
  const { section, start, kind } = target.piece;
  const at = start + target.offset;
  const isString = unit.classes[section.index] === 'strings' || section.name === '.rodata.str';
  const string = isString ? stringAt(section.data, at) : undefined;
  if (string !== undefined) {
    const shown = string.length > LONGEST ? `${string.slice(0, LONGEST)}...` : string;
    return { text: printable(JSON.stringify(shown)), key: `string ${string}` };
  }
  const size = Number(CONSTANTS.exec(section.name)?.[1] ?? 0);
  if (size > 0 && at >= 0 && at + size <= section.size) {
    const bytes = Buffer.from(section.data.subarray(at, at + size)).toString('hex');
    return { text: `constant ${bytes}`, key: `constant ${bytes}` };
  }
  return { text, key: kind };
}
