/** What becomes of sections that several places fit, when all other code of the unit has been matched. */
import type { Section } from '../elf/model.ts';
import { VMLINUX } from '../kernel/symbol-scope.ts';
import { type LinkOrder, MAIN_TEXT, placeInLinkOrder, UNLIKELY_TEXT } from './link-order.ts';
import { type SymbolMismatch, symbolMismatch } from './mismatch.ts';
import type { UndecidedSection, UnitContext } from './place-section.ts';

/** Takes as known where the order of units puts the section; whether it did. */
function learnFromOrder(
  { section, bases }: UndecidedSection,
  { object, scope, learned }: UnitContext,
  linkOrder: () => LinkOrder | undefined,
): boolean {
  const main = object.sections.find(({ name, size }) => name === MAIN_TEXT && size > 0);
  const base = main === undefined ? undefined : learned.bases.get(main.index);
  if (section.name !== UNLIKELY_TEXT || scope.target !== VMLINUX) return false;
  if (main === undefined || base === undefined) return false;
  const order = linkOrder();
  const at = order === undefined ? undefined : placeInLinkOrder(order, bases, { base, size: main.size });
  return at !== undefined && learned.learnBase(section.index, at) === undefined;
}

/**
 * The sections to place again, since something has told where one of them lies: references to it, or else the order of
 * units. A mismatch where references lead to none of the places that fit. Empty where nothing tells.
 */
export function settleUndecided(
  undecided: readonly UndecidedSection[],
  context: UnitContext,
  linkOrder: () => LinkOrder | undefined,
): readonly Section[] | SymbolMismatch {
  const { object, learned } = context;
  const known = undecided.flatMap(({ section, bases }) => {
    const base = learned.bases.get(section.index);
    return base === undefined ? [] : [{ section, bases, base }];
  });
  const elsewhere = known.find(({ bases, base }) => !bases.includes(base));
  if (elsewhere !== undefined) {
    const found = `${elsewhere.bases.length} places that match`;
    const expected = 'the one that is referred to among them';
    return symbolMismatch(object.path, elsewhere.section.name, found, expected);
  }
  const settled =
    known.length > 0 ? undecided : undecided.filter((each) => learnFromOrder(each, context, linkOrder));
  return settled.map(({ section }) => section);
}
