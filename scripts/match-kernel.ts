/**
 * `npm run match-kernel -- --dir net/ipv4 --dir kernel --dir 'fs/*.c'`: compiles every unit of these directories and
 * matches it with the kernel's image, function by function and byte by byte.
 *
 * All below a directory is taken; with `/*.c` at its end, what is in it. What is already compiled is not
 * compiled again. Prints every unit that does not match, with its reason, and every function in the directories'
 * address ranges that no unit had; exit status 1 if there are any.
 */
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { runKbuild } from '../src/build/kbuild.ts';
import { prepareTree } from '../src/build/tree.ts';
import { cacheDir } from '../src/debian/cache-dir.ts';
import { debianSources } from '../src/debian/debian-sources.ts';
import { STT_FUNC } from '../src/elf/constants.ts';
import { readObject } from '../src/elf/read-object.ts';
import { ImageKernel } from '../src/kernel/image/image-kernel.ts';
import { VMLINUX } from '../src/kernel/symbol-scope.ts';
import { matchUnit } from '../src/match/match-unit.ts';
import { reportMismatch } from '../src/match/mismatch-report.ts';
import { RunTables } from '../src/match/run-tables.ts';
import { findListedObjects } from './corpus/listed-objects.ts';
import { coverageOf, type MatchedRange } from './match-kernel/text-coverage.ts';

const { values } = parseArgs({
  options: {
    dir: { type: 'string', multiple: true, default: ['net/ipv4'] },
    kernel: { type: 'string', default: '6.1.0-47-cloud-amd64' },
    jobs: { type: 'string', default: String(cpus().length) },
  },
});
const jobs = Number(values.jobs);
const signal = new AbortController().signal;

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Objects that the files in a directory would be compiled to; `fs/*.c`: without those in directories below. */
function objectsOf(source: string, asked: string): readonly string[] {
  const directory = asked.replace(/\/\*(\.c)?$/, '');
  return readdirSync(join(source, directory), { recursive: directory === asked, encoding: 'utf8' })
    .filter((file) => file.endsWith('.c'))
    .map((file) => join(directory, file.replace(/\.c$/, '.o')))
    .toSorted();
}

const cache = cacheDir(process.env);
const debian = await debianSources(values.kernel, { cacheDir: cache });
const tree = await prepareTree({
  source: debian.source,
  config: debian.config,
  release: values.kernel,
  distribution: { name: 'Debian', version: debian.version },
  cacheDir: cache,
  symvers: debian.headers,
  jobs,
});
const kernel = await ImageKernel.open(debian.image, { modulesDirectory: debian.modules });
const tables = new RunTables(kernel);
print(`${kernel.release} ${kernel.version}`);

/** `vmlinux`, or the module that kbuild compiled the object for. */
async function targetOf(name: string): Promise<string> {
  const file = join(tree.buildDir, dirname(name), `.${basename(name)}.cmd`);
  const line = (await readFile(file, 'utf8')).split('\n', 1)[0] ?? '';
  if (!line.includes(' -DMODULE ')) return VMLINUX;
  return /-DKBUILD_MODNAME='?"([\w:]+)"/.exec(line)?.[1] ?? VMLINUX;
}

interface Total {
  units: number;
  bytes: number;
  milliseconds: number;
}

const total: Total = { units: 0, bytes: 0, milliseconds: 0 };
const modules = { units: 0, bytes: 0 };
/** Functions whose name others have, too: told apart by the code around them. */
const ambiguous = new Set<string>();
const matched: MatchedRange[] = [];
const failures: string[] = [];
for (const directory of values.dir) {
  const listed = await findListedObjects(tree, objectsOf(debian.source, directory), signal);
  const objects = [...listed];
  print(`${directory}: ${objects.length} units of this configuration`);
  // -g0: debug information is most of the time, and none of the code.
  await runKbuild(tree, ['--keep-going', 'KCFLAGS=-g0', ...objects], { jobs, okExitCodes: [0, 2] });
  for (const name of objects) {
    const bytes = await readFile(join(tree.buildDir, name)).catch(() => undefined);
    if (bytes === undefined) {
      failures.push(`${name}: does not compile by itself`);
      continue;
    }
    const object = readObject(bytes, name);
    const target = await targetOf(name);
    if (target.includes(':')) {
      failures.push(`${name}: is part of several modules: ${target}`);
      continue;
    }
    if (target !== VMLINUX) await kernel.loadModule(target);
    const start = performance.now();
    const result = matchUnit(object, kernel, tables, target);
    total.milliseconds += performance.now() - start;
    total.units += 1;
    if (result.kind === 'mismatch') {
      const { summary } = await reportMismatch(result.mismatch);
      failures.push(summary);
      continue;
    }
    total.bytes += result.compared;
    if (target !== VMLINUX) {
      modules.units += 1;
      modules.bytes += result.compared;
      continue;
    }
    for (const symbol of object.symbols) {
      if (symbol.type !== STT_FUNC || typeof symbol.place !== 'number' || !result.text.has(symbol.place))
        continue;
      if (kernel.named(symbol.name).length > 1) ambiguous.add(`${symbol.name} of ${name}`);
    }
    for (const [index, { base }] of result.text) {
      const section = object.sections[index];
      if (section === undefined) continue;
      const end = base + BigInt(section.size);
      matched.push({ directory, section: section.name, start: base, end });
    }
  }
}
const coverage = coverageOf(kernel.symbols(), matched);
for (const failure of failures) print(`MISMATCH ${failure}`);
for (const { name, address } of coverage.holes) print(`HOLE ${name} at 0x${address.toString(16)}`);
const megabytes = total.bytes / 1e6;
print(`units: ${total.units}, of which ${failures.length} do not match`);
print(`of them in modules: ${modules.units} match, ${modules.bytes} bytes`);
print(`functions of vmlinux: ${coverage.matched} of ${coverage.functions} that kallsyms has there`);
print(
  `names that several functions have: ${ambiguous.size} functions told apart, among them ${[...ambiguous].slice(0, 12).join(', ')}`,
);
print(`bytes of vmlinux: ${coverage.matchedBytes} of ${coverage.bytes} from first to last`);
print(
  `time: ${total.milliseconds.toFixed(0)} ms for ${megabytes.toFixed(2)} MB: ${((1000 * megabytes) / total.milliseconds).toFixed(1)} MB/s`,
);
process.exitCode = failures.length + coverage.holes.length === 0 ? 0 : 1;
