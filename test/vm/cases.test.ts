/**
 * The folders of test/cases, one test each, all in one guest.
 *
 * Compiling and emulating both take their time and neither needs the other, so updates are made while the guest
 * runs the cases that are ready. A case whose update stays loaded comes last: after it the core stays too, and
 * the others are to see it come and go.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildBundle } from '../../scripts/bundle.ts';
import { mapLimited } from '../../src/build/map-limited.ts';
import { type Created, caseId, createCase } from '../support/case/create-case.ts';
import { readCases } from '../support/case/read-cases.ts';
import { expectCreated, expectRefusal, runCase } from '../support/case/run-case.ts';
import { compileGuest } from '../support/vm/guest-program.ts';
import { testCacheDir, testImage } from '../support/vm/test-kernel.ts';
import { Vm } from '../support/vm/vm.ts';
