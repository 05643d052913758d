import { beforeAll, describe, expect, it } from 'vitest';
import { sampleUpdate } from '../../test/support/sample-update.ts';
import { FormatError } from '../diagnostics/error.ts';
import { encodeManifest, type Manifest, parseManifest } from './manifest.ts';
import { readUpdate } from './read-update.ts';
import { writeUpdate } from './write-update.ts';

let manifest: Manifest;

beforeAll(async () => {
  ({ manifest } = readUpdate(await writeUpdate(sampleUpdate()), 'm'));
});

function refusal(value: unknown): string {
  const bytes = new TextEncoder().encode(
    typeof value === 'string' ? value : `${JSON.stringify(value, null, 2)}\n`,
  );
  try {
    parseManifest(bytes, 'm.ksplice');
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    return error instanceof Error ? error.message : '';
  }
  return expect.fail('the manifest was accepted');
}

/** The manifest with the value at a dotted path replaced. */
function edited(path: string, value: unknown): unknown {
  return replaced(manifest, path.split('.'), value);
}

function replaced(object: unknown, [part, ...rest]: readonly string[], value: unknown): unknown {
  if (part === undefined) {
    return value;
  }
  if (Array.isArray(object)) {
    return object.map((item, index) => (String(index) === part ? replaced(item, rest, value) : item));
  }
  const fields: Record<string, unknown> = typeof object === 'object' ? { ...object } : {};
  return { ...fields, [part]: replaced(fields[part], rest, value) };
}

describe('parseManifest', () => {
  it('reads what encodeManifest writes', () => {
    expect(parseManifest(encodeManifest(manifest, 'm'), 'm')).toEqual(manifest);
  });

  it.for<readonly [string, unknown]>([
    ['extra', 1],
    ['kernel.extra', 1],
    ['units.0.extra', 1],
    ['units.0.pre.mode', 0o755],
    ['units.0.functions.0.extra', 1],
    ['units.0.references.0.extra', 1],
    ['units.0.escapes.extra', 1],
    ['patches.0.url', 'x'],
  ])('refuses the unknown field %s', ([path, value]) => {
    const message = refusal(edited(path, value));
    expect(message).toContain(path);
    expect(message).toContain('a field that format 1 does not have');
  });

  it.for<readonly [string, unknown]>([
    ['format', '1'],
    ['id', ''],
    ['id', 'UPPER'],
    ['id', '../x'],
    ['id', 'a'.repeat(33)],
    ['id', 'interface'],
    ['description', 'line\nline'],
    ['description', 'x\u202ey'],
    ['cves', []],
    ['cves', ['CVE-2026-53249', 'CVE-2026-9999']],
    ['cves', ['CVE-2026-53249', 'CVE-2026-53249']],
    ['cves.0', 'CVE-2026-1'],
    ['matching', 'strict'],
    ['matching', 'loose'],
    ['kernel.arch', 'arm64'],
    ['kernel.release', ''],
    ['kernel.moduleLayoutCrc', -1],
    ['kernel.moduleLayoutCrc', 0x1_0000_0000],
    ['kernel.moduleLayoutCrc', 1.5],
    ['kernel.moduleLayoutCrc', '0x1'],
    ['units', []],
    ['units.0.path', '/etc/passwd'],
    ['units.0.path', 'net/../../x.o'],
    ['units.0.path', 'net//x.o'],
    ['units.0.pre.size', 64 * 1024 * 1024 + 1],
    ['units.0.pre.size', -1],
    ['units.0.pre.sha256', 'ABC'],
    ['units.0.functions.0.name', 'with space'],
    ['units.0.functions.0.name', ''],
    ['units.0.references.0.scope', 'any'],
    ['units.0.references.0.pre.offset', -8],
    ['units.0.functions.0.site.size', 4],
    ['units.0.functions.0.needsLivepatch', 'smp-lock'],
    ['units.0.escapes.escapes', 'no'],
    ['patches', []],
    ['core', null],
    ['createdBy', undefined],
  ])('refuses %s = %j, and names the field', ([path, value]) => {
    expect(refusal(edited(path, value))).toContain(`manifest.json: ${path}`);
  });

  it('reads a manifest that says nothing of what is fixed, as all did once', () => {
    const { cves, ...without } = manifest;
    expect(cves).toEqual(['CVE-2026-9999', 'CVE-2026-53249']);
    expect(parseManifest(encodeManifest(without, 'm'), 'm')).toEqual(without);
  });

  it('says that a later format needs a later version', () => {
    expect(refusal(edited('format', 2))).toContain('format: found 2, expected 1');
  });

  it('refuses every other way to write the same manifest', () => {
    const text = new TextDecoder().decode(encodeManifest(manifest, 'm'));
    expect(refusal(JSON.stringify(manifest))).toContain('another spelling');
    expect(refusal(text.replace('"id"', '"id": "other",\n  "id"'))).toContain('another spelling');
    expect(refusal(text.trimEnd())).toContain('another spelling');
    expect(refusal(`\ufeff${text}`)).toContain('JSON in UTF-8');
  });

  it('refuses what is not JSON', () => {
    for (const text of ['', '{', 'null', '[]', '"text"', '[['.repeat(100_000)]) {
      expect(refusal(text)).toContain('manifest.json');
    }
  });
});

const code = (id: string): { readonly id: string; readonly replacement: Uint8Array } => ({
  id,
  replacement: new TextEncoder().encode(id),
});

describe('an update on top of others', () => {
  const digest = 'a'.repeat(64);
  const below = [
    { id: 'lower', digest },
    { id: 'upper', digest: 'b'.repeat(64) },
  ];
  const [unit] = sampleUpdate().units;
  /** The sample with one unit, whose first function and reference have these owners. */
  function stacked(
    owners: { readonly function?: string; readonly reference?: string },
    on: readonly string[] = ['lower', 'upper'],
  ): ReturnType<typeof sampleUpdate> {
    if (unit === undefined) throw new Error('no unit');
    const [replacedFunction, ...functions] = unit.functions;
    const [reference, ...references] = unit.references;
    if (replacedFunction === undefined || reference === undefined) throw new Error('a sample without them');
    return sampleUpdate({
      on: below,
      units: [
        {
          ...unit,
          on: on.map(code),
          functions: [{ ...replacedFunction, owner: owners.function ?? 'lower' }, ...functions],
          references: [{ ...reference, owner: owners.reference ?? 'upper' }, ...references],
        },
      ],
    });
  }

  it('says which these are, and holds their code for its units', async () => {
    const read = readUpdate(await writeUpdate(stacked({})), 'm');
    expect(read.on).toEqual(below);
    expect(
      read.units[0]?.on.map(({ id, replacement }) => [id, new TextDecoder().decode(replacement)]),
    ).toEqual([
      ['lower', 'lower'],
      ['upper', 'upper'],
    ]);
    expect(read.units[0]?.functions[0]?.owner).toBe('lower');
    expect(read.units[0]?.references[0]?.owner).toBe('upper');
  });

  it('owns nothing by updates that it is not on top of, or that have no code for the unit', async () => {
    const message = /units whose owners are among the updates below, in their order/;
    await expect(writeUpdate(stacked({ function: 'stranger' }))).rejects.toThrow(message);
    await expect(writeUpdate(stacked({}, ['lower']))).rejects.toThrow(message);
    await expect(writeUpdate(stacked({}, ['upper', 'lower']))).rejects.toThrow(message);
    await expect(writeUpdate(stacked({}, ['lower', 'upper', 'stranger']))).rejects.toThrow(message);
    await expect(writeUpdate({ ...stacked({}), id: 'upper' })).rejects.toThrow(message);
  });

  it('names each update below once', async () => {
    const twice = { ...stacked({}), on: [...below, { id: 'lower', digest }] };
    await expect(writeUpdate(twice)).rejects.toThrow(/each update once/);
  });
});
