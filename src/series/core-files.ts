/** The core's sources as they go into a kernel tree: the files of core/, byte for byte, and the Makefile beside them. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { InternalError } from '../diagnostics/error.ts';
import type { SourceText } from './edit-text.ts';

export const CORE_FOLDER = 'kernel/ksplice';

/** Only a core that kbuild does not make a module of needs them. */
const STANDALONE_ONLY: readonly string[] = ['standalone.c', 'this_module.h'];

/** Objects of `ksplice-objs` in core/Kbuild. */
function objectsOf(kbuild: string): readonly string[] {
  const [, list] = /^ksplice-objs := (.*)$/m.exec(kbuild.replaceAll('\\\n', ' ')) ?? [];
  if (list === undefined) throw new InternalError('unexpected', 'core/Kbuild: no ksplice-objs');
  return list.split(/\s+/).filter((word) => word.endsWith('.o'));
}

function makefile(objects: readonly string[]): string {
  const lines = [''];
  for (const object of objects) {
    const last = lines.at(-1) ?? '';
    if (last.length + object.length > 70) lines.push(object);
    else lines[lines.length - 1] = last === '' ? object : `${last} ${object}`;
  }
  return `# SPDX-License-Identifier: GPL-2.0-only
obj-$(CONFIG_KSPLICE) += ksplice.o

ksplice-y := ${lines.join(' \\\n\t     ')}
`;
}

/** Paths below the kernel's tree, with their texts; `coreSources` is core/ of this project. */
export function coreFiles(coreSources: string): readonly SourceText[] {
  const read = (name: string): string => readFileSync(path.join(coreSources, name), 'utf8');
  const names = readdirSync(coreSources)
    .filter((name) => /\.[ch]$/.test(name) && !STANDALONE_ONLY.includes(name))
    .sort();
  const objects = objectsOf(read('Kbuild')).filter(
    (name) => !STANDALONE_ONLY.includes(name.replace('.o', '.c')),
  );
  return [
    { path: `${CORE_FOLDER}/Kconfig`, text: read('series/Kconfig') },
    { path: `${CORE_FOLDER}/Makefile`, text: makefile(objects) },
    ...names.map((name) => ({ path: `${CORE_FOLDER}/${name}`, text: read(name) })),
  ];
}
