/**
 * What `apt-cache show` says about packages, as records.
 *
 * Its output is deb822: stanzas parted by empty lines, each a list of `Field: value` lines, where a line that
 * begins with a space continues the field above. One package name gives a stanza for each version that apt
 * knows, newest first.
 *
 * A package that is installed but in no archive any more has a stanza too (from dpkg's status file), without a
 * hash: it cannot be downloaded. Such stanzas are left out.
 */
import { FormatError } from '../diagnostics/error.ts';

/** One downloadable version of a binary package. */
export interface AptPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** Of the .deb file, in bytes. */
  readonly size: number;
  /** Of the .deb file, 64 lower-case hex digits. */
  readonly sha256: string;
  /**
   * Version of the source package `linux` that it was built from; undefined if it is not a kernel package.
   * A signed image comes from the source package linux-signed-ARCH, and names the real one in Built-Using.
   */
  readonly linuxVersion: string | undefined;
}

type Stanza = ReadonlyMap<string, string>;

/** Throws FormatError for a stanza that apt would not write. */
export function parseAptShow(text: string): readonly AptPackage[] {
  return text
    .split(/\n\s*\n/)
    .filter((part) => part.trim() !== '')
    .map(parseStanza)
    .flatMap((stanza) => toPackage(stanza) ?? []);
}

function parseStanza(text: string): Stanza {
  const fields = new Map<string, string>();
  let current: string | undefined;
  for (const line of text.split('\n')) {
    if (line === '') {
      continue;
    }
    if (/^\s/.test(line)) {
      if (current !== undefined) {
        fields.set(current, `${fields.get(current) ?? ''}\n${line.trim()}`);
      }
      continue;
    }
    const colon = line.indexOf(':');
    if (colon <= 0) {
      throw malformed(`a line without a field name: ${JSON.stringify(line)}`);
    }
    current = line.slice(0, colon);
    fields.set(current, line.slice(colon + 1).trim());
  }
  return fields;
}

function toPackage(stanza: Stanza): AptPackage | undefined {
  const sha256 = stanza.get('SHA256');
  if (sha256 === undefined || !stanza.has('Filename')) {
    return undefined;
  }
  const field = (name: string): string => {
    const value = stanza.get(name);
    if (value === undefined || value === '') {
      throw malformed(`a package without ${name}`);
    }
    return value;
  };
  const size = Number(field('Size'));
  if (!Number.isSafeInteger(size) || size <= 0 || !/^[0-9a-f]{64}$/.test(sha256)) {
    throw malformed(`package ${field('Package')} with Size ${field('Size')} and SHA256 ${sha256}`);
  }
  return {
    name: field('Package'),
    version: field('Version'),
    architecture: field('Architecture'),
    size,
    sha256,
    linuxVersion: linuxVersionOf(stanza, field('Version')),
  };
}

function linuxVersionOf(stanza: Stanza, version: string): string | undefined {
  const builtUsing = /(?:^|,)\s*linux \(= ([^)\s]+)\)/.exec(stanza.get('Built-Using') ?? '');
  if (builtUsing !== null) {
    return builtUsing[1];
  }
  // `Source: linux`, or `Source: linux (6.1.170-3)` where the binary's version differs from it.
  const source = /^linux(?: \(([^)\s]+)\))?$/.exec(stanza.get('Source') ?? '');
  return source === null ? undefined : (source[1] ?? version);
}

function malformed(what: string): FormatError {
  return new FormatError('command_failed', `apt-cache show: ${what}`);
}
