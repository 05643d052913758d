/**
 * `.modinfo`: strings `key=value`, or `module.key=value` in built-in code. modinfo, modprobe and the module
 * loader read them from a module's file; nobody asks a module that is loaded.
 */
import type { ObjectFile } from '../elf/model.ts';
import type { Diagnostic } from './diagnostic.ts';

const NO_EFFECT = 'this describes the file of a module, and has no effect on one that is loaded';

function stringsOf(object: ObjectFile): readonly string[] {
  return object.sections
    .filter(({ name }) => name === '.modinfo')
    .flatMap(({ data }) => Buffer.from(data).toString('latin1').split('\0'))
    .filter((text) => text !== '');
}

function shown(texts: readonly string[]): string {
  const [first = ''] = texts;
  return `${first}${texts.length > 1 ? ` and ${texts.length - 1} more` : ''}`;
}

/** A note if a description differs. */
export function moduleInfoChanges(pre: ObjectFile, post: ObjectFile): readonly Diagnostic[] {
  const [before, after] = [stringsOf(pre), stringsOf(post)];
  const added = after.filter((text) => !before.includes(text));
  const removed = before.filter((text) => !after.includes(text));
  const parts = [
    ...(added.length > 0 ? [`adds ${shown(added)}`] : []),
    ...(removed.length > 0 ? [`removes ${shown(removed)}`] : []),
  ];
  if (parts.length === 0) return [];
  return [
    {
      code: 'module_info_changed',
      severity: 'note',
      message: `${post.path}: .modinfo: the patch ${parts.join(' and ')}: ${NO_EFFECT}`,
      location: { unit: post.path, section: '.modinfo' },
    },
  ];
}
