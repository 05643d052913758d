import { InternalError } from '../diagnostics/error.ts';
import type { SectionIndex, SymbolIndex } from './model.ts';

/** A number that is known to be a section's; the caller has checked it against the number of sections. */
export function sectionIndex(value: number): SectionIndex {
  if (isSectionIndex(value)) return value;
  throw new InternalError('unexpected', `${value} is not a section index`);
}

/** A number that is known to be a symbol's; the caller has checked it against the number of symbols. */
export function symbolIndex(value: number): SymbolIndex {
  if (isSymbolIndex(value)) return value;
  throw new InternalError('unexpected', `${value} is not a symbol index`);
}

function isSectionIndex(value: number): value is SectionIndex {
  return Number.isInteger(value) && value >= 0;
}

function isSymbolIndex(value: number): value is SymbolIndex {
  return Number.isInteger(value) && value >= 0;
}
