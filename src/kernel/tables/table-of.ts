import { altAux, altInstructions, altReplacement } from './alternatives.ts';
import { bootTables } from './boot-tables.ts';
import { bugTable } from './bug-table.ts';
import { discardedSections } from './discarded.ts';
import { endbrSeal } from './endbr-seal.ts';
import { exceptionTable } from './exception-table.ts';
import { exportTables } from './exports.ts';
import { jumpTable } from './jump-table.ts';
import { errorInjection, kprobeBlacklist } from './kprobe-blacklist.ts';
import { mcountLoc } from './mcount-loc.ts';
import { moduleMetadata } from './module-metadata.ts';
import { orcUnwind, orcUnwindIp } from './orc.ts';
import { paraInstructions } from './paravirt.ts';
import { retpolineSites } from './retpoline-sites.ts';
import { returnSites } from './return-sites.ts';
import { smpLocks } from './smp-locks.ts';
import type { SpecialTable } from './special-table.ts';
import { staticCallSites, staticCallText, staticCallTrampolineKeys } from './static-calls.ts';
import { traceTables } from './trace-events.ts';

/** Every special section we know; at most one of them answers to a name, the longest one. */
const specialTables: readonly SpecialTable[] = [
  altInstructions,
  altReplacement,
  altAux,
  paraInstructions,
  smpLocks,
  exceptionTable,
  bugTable,
  jumpTable,
  staticCallSites,
  staticCallText,
  staticCallTrampolineKeys,
  retpolineSites,
  returnSites,
  endbrSeal,
  mcountLoc,
  orcUnwindIp,
  orcUnwind,
  kprobeBlacklist,
  errorInjection,
  ...exportTables,
  ...bootTables,
  ...traceTables,
  ...moduleMetadata,
  ...discardedSections,
];

/** The table that lies in a section of this name, if it is a special one. */
export function tableOf(sectionName: string): SpecialTable | undefined {
  let best: SpecialTable | undefined;
  for (const table of specialTables) {
    const fits = table.prefix ? sectionName.startsWith(table.section) : sectionName === table.section;
    if (fits && (best === undefined || table.section.length > best.section.length)) {
      best = table;
    }
  }
  return best;
}
