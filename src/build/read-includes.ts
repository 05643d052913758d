/**
 * The `#include`s of a file, read as text: conditionals are not looked at, so that nothing is missed
 * whatever the configuration says.
 *
 * A computed include (`#include TRACE_INCLUDE(TRACE_INCLUDE_FILE)`, `#include GENL_MAGIC_INCLUDE_FILE`) names
 * no file. The file is named where the macro is defined, so definitions whose value is a file's name count as
 * includes; for tracepoints, whose macro puts the name together, so do the parts
 * (include/trace/define_trace.h tells how).
 */

export interface Include {
  /** `beside`: `"x.h"`, looked for in the including file's directory first. `tree`: a path from the tree's root. */
  readonly form: 'beside' | 'path' | 'next' | 'tree';
  readonly name: string;
}

const comment = '(?:/\\*(?:[^*]|\\*(?!/))*\\*/)';
const blank = `(?:[ \\t]|\\\\\\r?\\n|${comment})*`;
const includeLine = new RegExp(
  `^${blank}(?:#|%:|\\?\\?=)${blank}(include|include_next|import)${blank}([<"])([^>"\\n]+)[>"]`,
  'gm',
);
const namingMacro =
  /^[ \t]*#[ \t]*define[ \t]+\w+(?:\([^)\n]*\))?[ \t]+(?:\\\r?\n[ \t]*)?([<"])([\w./+-]+\.\w+)[>"]/gm;
const tracePart =
  /^[ \t]*#[ \t]*define[ \t]+(TRACE_INCLUDE_PATH|TRACE_INCLUDE_FILE|TRACE_SYSTEM)[ \t]+(\S+)/gm;

export function readIncludes(text: string): readonly Include[] {
  const found = new Map<string, Include>();
  const add = (form: Include['form'], name: string): void => {
    found.set(`${form} ${name}`, { form, name });
  };
  if (text.includes('include') || text.includes('import')) {
    for (const [, kind, quote, name] of text.matchAll(includeLine)) {
      if (name !== undefined) add(kind === 'include_next' ? 'next' : quote === '"' ? 'beside' : 'path', name);
    }
  }
  for (const [, quote, name] of text.matchAll(namingMacro)) {
    if (name !== undefined) add(quote === '"' ? 'beside' : 'path', name);
  }
  if (text.includes('TRACE_')) {
    const parts = [...text.matchAll(tracePart)];
    const paths = parts
      .filter(([, macro]) => macro === 'TRACE_INCLUDE_PATH')
      .map(([, , value = '']) => value);
    for (const [, macro, value = ''] of parts) {
      if (macro === 'TRACE_INCLUDE_PATH') continue;
      add('path', `trace/events/${value}.h`);
      for (const directory of paths) {
        add('path', `${directory}/${value}.h`);
        add('tree', `include/trace/${directory}/${value}.h`);
      }
    }
  }
  return [...found.values()];
}
