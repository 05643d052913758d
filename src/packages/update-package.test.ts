import { describe, expect, it } from 'vitest';
import { sampleUpdate } from '../../test/support/sample-update.ts';
import { KspliceError } from '../diagnostics/error.ts';
import { readUpdate } from '../update/read-update.ts';
import { writeUpdate } from '../update/write-update.ts';
import { type UpdatePackageOptions, updatePackage, updatePackageName } from './update-package.ts';

const OPTIONS: UpdatePackageOptions = { version: undefined, maintainer: undefined, time: 0 };
const kernel = { ...sampleUpdate().kernel, release: '6.1.0-47-cloud-amd64', version: '6.1.170-3' };

async function packaged(
  changes: Parameters<typeof sampleUpdate>[0],
  options: Partial<UpdatePackageOptions> = {},
): Promise<ReturnType<typeof updatePackage>> {
  const bytes = await writeUpdate(sampleUpdate({ kernel, ...changes }));
  return updatePackage(readUpdate(bytes, 'u'), bytes, { ...OPTIONS, ...options });
}

describe('the package of an update', () => {
  it('is for exactly its kernel, and comes after those that it is on top of', async () => {
    const on = [{ id: 'lower_one', digest: '0'.repeat(64) }];
    const { control } = await packaged({ id: 'upper', on });
    expect(control['Package']).toBe('ksplice-update-upper-6.1.0-47-cloud-amd64');
    expect(control['Depends']).toBe(
      'ksplice, linux-image-6.1.0-47-cloud-amd64 (= 6.1.170-3), ksplice-update-lower-one-6.1.0-47-cloud-amd64',
    );
  });

  it('has a name that Debian allows', () => {
    expect(updatePackageName('a_b', '6.1_Custom+x')).toBe('ksplice-update-a-b-6.1-custom+x');
  });

  it('describes itself in lines that a control file can have', async () => {
    const { control } = await packaged({ description: 'word '.repeat(60).trim(), cves: ['CVE-2026-0001'] });
    const [, ...further] = (control['Description'] ?? '').split('\n');
    expect(further.length).toBeGreaterThan(5);
    for (const line of further) expect(line).toMatch(/^ \S.{0,78}$|^ \.$/);
    expect(control['Description']).toContain('CVE-2026-0001');
  });

  it.each([
    ['of a kernel that no package has', { kernel: { ...kernel, version: null } }, {}, 'refused'],
    [
      'of a release that no shell should see',
      { kernel: { ...kernel, release: '6.1;reboot' } },
      {},
      'refused',
    ],
    ['with a version that is none', {}, { version: 'new' }, 'usage'],
    ['with a maintainer that would be another field', {}, { maintainer: 'a\nX: <b@c>' }, 'usage'],
  ] as const)('is not made %s', async (_, changes, options, code) => {
    const made = packaged(changes, options).then(
      () => 'made',
      (error: unknown) => (error instanceof KspliceError ? error.code : error),
    );
    expect(await made).toBe(code);
  });
});
