import { describe, expect, it } from 'vitest';
import { sampleWithModule } from '../../test/support/sample-update.ts';
import { MissingError } from '../diagnostics/error.ts';
import { readUpdate } from '../update/read-update.ts';
import { writeUpdate } from '../update/write-update.ts';
import { chooseSkipped, type LoadedModules } from './choose-targets.ts';

const SRCVERSION = '0123456789ABCDEF01234567';
const carrying = readUpdate(await writeUpdate(sampleWithModule()), 'sample.ksplice');
const without = readUpdate(await writeUpdate(sampleWithModule({ modules: [] })), 'sample.ksplice');

/** A machine with the module loaded, as what it says of itself; `none`: not loaded. */
function machine(srcversion: string | undefined): LoadedModules {
  return {
    isLoaded: (name) => name === 'raid6_pq' && srcversion !== 'none',
    srcversionOf: (name) => (name === 'raid6_pq' && srcversion !== 'none' ? srcversion : undefined),
  };
}

function failure(action: () => unknown): MissingError {
  try {
    action();
  } catch (error) {
    if (error instanceof MissingError) return error;
  }
  return expect.fail('expected a MissingError');
}

describe('the targets that an update is applied without', () => {
  it('are none where all are loaded, as they were when the kernel was built', () => {
    for (const srcversion of [undefined, '942F3D2CA925355344433C3']) {
      expect(chooseSkipped(carrying, false, machine(srcversion))).toEqual([]);
      expect(chooseSkipped(carrying, true, machine(srcversion))).toEqual([]);
      expect(chooseSkipped(without, true, machine(srcversion))).toEqual([]);
    }
  });

  it('are those that are not loaded, if it was asked for and the update carries them', () => {
    const skipped = { name: 'raid6_pq', srcversion: SRCVERSION, isLoaded: false };
    expect(chooseSkipped(carrying, true, machine('none'))).toEqual([skipped]);
  });

  it('are those that are loaded as the fixed module already, asked for or not', () => {
    const skipped = { name: 'raid6_pq', srcversion: SRCVERSION, isLoaded: true };
    for (const isPartial of [false, true]) {
      expect(chooseSkipped(carrying, isPartial, machine(SRCVERSION))).toEqual([skipped]);
    }
  });

  it('are not chosen unless it was asked for: 69, which says how to ask where that would do', () => {
    const error = failure(() => chooseSkipped(carrying, false, machine('none')));
    expect(error).toMatchObject({ code: 'target_not_loaded', exitCode: 69 });
    expect(error.hint).toContain('--partial');
    expect(failure(() => chooseSkipped(without, false, machine('none'))).hint).not.toContain('--partial');
  });

  it('cannot be what the update does not carry: 69, which says how to make one that does', () => {
    const error = failure(() => chooseSkipped(without, true, machine('none')));
    expect(error).toMatchObject({ code: 'modules_not_built', exitCode: 69 });
    expect(error.hint).toContain('--build-modules');
  });
});
