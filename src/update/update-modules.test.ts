import { describe, expect, it } from 'vitest';
import { sampleUpdate, sampleWithModule } from '../../test/support/sample-update.ts';
import { FormatError } from '../diagnostics/error.ts';
import { readUpdate } from './read-update.ts';
import { readMembers } from './tar-members.ts';
import type { UpdateContents } from './update.ts';
import { writeUpdate } from './write-update.ts';

const FILE = 'sample_1.ksplice';
const [module] = sampleWithModule().modules;
if (module === undefined) throw new RangeError('the sample has a module');

async function refusal(contents: UpdateContents): Promise<string> {
  try {
    readUpdate(await writeUpdate(contents), FILE);
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    return error instanceof Error ? error.message : '';
  }
  return expect.fail('the update was accepted');
}

describe('an update that carries whole modules', () => {
  it('comes back as it was written, the modules last', async () => {
    const bytes = await writeUpdate(sampleWithModule());
    expect(readMembers(bytes, FILE).at(-1)?.name).toBe('modules/0.ko');
    expect(readUpdate(bytes, FILE).modules).toEqual([module]);
  });

  it('differs in nothing else from one that carries none, of which nothing is said', async () => {
    const without = readUpdate(await writeUpdate(sampleUpdate()), FILE);
    expect(without.modules).toEqual([]);
    expect(without.manifest).not.toHaveProperty('modules');
  });

  it('is refused if a byte of a module was altered', async () => {
    const bytes = Buffer.from(await writeUpdate(sampleWithModule()));
    const at = bytes.lastIndexOf('raid6-pq.ko', undefined, 'latin1');
    bytes.writeUInt8(0x52, at);
    expect(() => readUpdate(bytes, FILE)).toThrow(/modules\/0\.ko: found SHA-256/);
  });

  it.for<readonly [string, Partial<typeof module>]>([
    ['modules.0.name', { name: '../evil' }],
    ['modules.0.name', { name: 'raid6-pq' }],
    ['modules.0.file', { file: '../raid6-pq.ko' }],
    ['modules.0.file', { file: 'raid6-pq.ko.xz' }],
    ['modules.0', { file: 'other.ko' }],
    ['modules.0.srcversion', { srcversion: '0123' }],
  ])('is refused for its %s of %j', async ([place, change]) => {
    expect(await refusal(sampleWithModule({ modules: [{ ...module, ...change }] }))).toContain(place);
  });

  it('is refused for a module that none of its units is part of', async () => {
    const stranger = { ...module, name: 'evil', file: 'evil.ko' };
    expect(await refusal(sampleWithModule({ modules: [stranger] }))).toContain(
      'a target of one of the units',
    );
  });

  it('is refused for a module that it carries twice', async () => {
    expect(await refusal(sampleWithModule({ modules: [module, module] }))).toContain('each once');
  });
});
