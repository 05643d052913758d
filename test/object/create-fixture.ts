/** The small tree of build-tree-fixture.ts, as create needs it, with a patch. */
import { cp, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { CreateOptions } from '../../src/cli/create-pipeline.ts';
import { AUTHOR_HEADERS, type BuildFixture, createBuildFixture } from './build-tree-fixture.ts';

const ORIGINAL = 'int sort_it(int x)\n{\n\treturn x * 7 / 3 + 1;\n}\n';
export const FIXED = ORIGINAL.replace('+ 1', '+ 2');

const PATCH = `Subject: [PATCH] sort: fix it

--- a/lib/sort.c
+++ b/lib/sort.c
@@ -1,4 +1,4 @@
 int sort_it(int x)
 {
-	return x * 7 / 3 + 1;
+	return x * 7 / 3 + 2;
 }
`;

/** The tree with what an update needs beside a build: the core's interface, symbol versions in the source. */
export async function createCreateFixture(): Promise<BuildFixture> {
  const made = await createBuildFixture();
  const main = path.join(made.core, 'main.c');
  const text = await readFile(main, 'utf8');
  await writeFile(main, `${text}const char name[] __attribute__((section(".modinfo"))) = "name=ksplice";\n`);
  await writeFile(path.join(made.core, 'ksplice.h'), '#define KSPLICE_INTERFACE 3\n');
  await cp(path.join(made.headers, 'Module.symvers'), path.join(made.source, 'Module.symvers'));
  await writeFile(path.join(made.directory, 'fix.patch'), PATCH);
  await writeFile(path.join(made.source, 'lib', 'sort.c'), ORIGINAL);
  return made;
}

export function optionsFor(one: BuildFixture, changes: Partial<CreateOptions> = {}): CreateOptions {
  return {
    source: one.source,
    config: one.options.config,
    jobs: 2,
    cacheDir: one.options.cacheDir,
    coreSources: one.core,
    authorHeaders: AUTHOR_HEADERS,
    createdBy: 'ksplice test',
    signal: new AbortController().signal,
    onProgress: () => undefined,
    ...changes,
  };
}
