import type { Diagnostic, DiagnosticCode, Severity } from './diagnostic.ts';
import { restrictionOf } from './restricted-code.ts';
import type { UnitItem } from './unit.ts';
import type { UnitSide } from './unit-side.ts';

interface Obstacle {
  readonly code: DiagnosticCode;
  readonly severity: Severity;
  readonly what: string;
  readonly hint: string;
}

const init: Obstacle = {
  code: 'init_code_changed',
  severity: 'warning',
  what: 'is __init: it has run when the kernel booted or its module was loaded, and is gone',
  hint: 'do in a hook what the new code would have done',
};

const exit: Obstacle = {
  code: 'exit_code_changed',
  severity: 'warning',
  what: 'is __exit: it runs when its module is unloaded, which an applied update prevents',
  hint: 'an update does not bring it: unload the module and load the fixed one; with the update undone, the old code runs',
};

function obstacleFor(side: UnitSide, pre: UnitItem): Obstacle | undefined {
  if (pre.sectionClass === 'init-text') return init;
  if (pre.sectionClass === 'exit-text') return exit;
  const restriction = restrictionOf(side, pre);
  if (restriction === undefined) return undefined;
  return { ...restriction, severity: 'error', what: `cannot be replaced: ${restriction.why}` };
}

/**
 * A changed function that cannot be replaced, or need not be; undefined if it can.
 * @param pre the function in the original
 * @param difference what is changed, in words
 */
export function unreplaceable(side: UnitSide, pre: UnitItem, difference: string): Diagnostic | undefined {
  const obstacle = obstacleFor(side, pre);
  if (obstacle === undefined) return undefined;
  const { code, severity, what, hint } = obstacle;
  const { path } = side.unit.object;
  return {
    code,
    severity,
    message: `${path}: ${pre.name}: changed function ${what} (${difference})`,
    location: { unit: path, section: pre.section.name, symbol: pre.name },
    hint,
  };
}
