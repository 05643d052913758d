/**
 * Names in file headers: `a/net/ipv4/ip_options.c`, maybe quoted as C strings are, maybe followed by a
 * tab and a timestamp. The first component is whatever the author's directories were called, and is
 * stripped (-p1), as git, quilt and the kernel's own documentation have it.
 */
import type { PatchCursor } from './cursor.ts';

const simpleEscapes: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  t: '\t',
  n: '\n',
  v: '\v',
  f: '\f',
  r: '\r',
  '"': '"',
  '\\': '\\',
};

/**
 * The name at the start of `text`, as written (not stripped), and what follows it.
 * Undefined if a quoted name has no end or an unknown escape.
 */
export function readFileName(text: string): { readonly name: string; readonly rest: string } | undefined {
  if (!text.startsWith('"')) {
    const tab = text.indexOf('\t');
    return tab < 0 ? { name: text, rest: '' } : { name: text.slice(0, tab), rest: text.slice(tab) };
  }
  let name = '';
  for (let i = 1; i < text.length; i++) {
    const c = text.charAt(i);
    if (c === '"') return { name, rest: text.slice(i + 1) };
    if (c !== '\\') {
      name += c;
      continue;
    }
    const octal = /^[0-3][0-7]{2}/.exec(text.slice(i + 1, i + 4))?.[0];
    const simple = simpleEscapes[text.charAt(i + 1)];
    if (octal !== undefined) {
      name += String.fromCharCode(Number.parseInt(octal, 8));
      i += 3;
    } else if (simple !== undefined) {
      name += simple;
      i += 1;
    } else {
      return undefined;
    }
  }
  return undefined;
}

/** Whether a header's name says that there is no file on this side. */
export function isDevNull(name: string): boolean {
  return name === '/dev/null';
}

/**
 * The path in the source tree that `name` stands for: checked to stay inside it, then stripped.
 * Throws FormatError `malformed_patch` at `line`.
 */
export function stripFileName(cursor: PatchCursor, name: string, line: number): string {
  const parts = name.split('/');
  if (name.startsWith('/')) throw cursor.error(`absolute path ${name}`, line);
  if (parts.includes('..')) throw cursor.error(`path ${name} leaves the source tree`, line);
  if (hasControlCharacter(name)) throw cursor.error('control character in a path', line);
  const stripped = parts.slice(1);
  if (stripped.length === 0) {
    throw cursor.error(
      `path ${name === '' ? '(empty)' : name} has no leading directory to strip`,
      line,
      'paths must apply with patch -p1: make the patch with git, or with diff -u from above two trees',
    );
  }
  if (stripped.some((part) => part === '' || part === '.')) {
    throw cursor.error(`path ${name} is not in its plain form`, line);
  }
  return stripped.join('/');
}

function hasControlCharacter(name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const c = name.charCodeAt(i);
    if (c < 0x20 || c === 0x7f) return true;
  }
  return false;
}
