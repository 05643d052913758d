/** An update of one unit, compiled from C: its parts, and what they are linked to. */
import { readFileSync } from 'node:fs';
import type { ObjectFile, Section } from '../../src/elf/model.ts';
import { readObject } from '../../src/elf/read-object.ts';
import { type Address, toAddress } from '../../src/kernel/address.ts';
import {
  type LinkedModule,
  linkUpdate,
  type ReplacedFunction,
  type UnitReference,
  type UpdateToLink,
} from '../../src/link/link-update.ts';
import { matchUnit } from '../../src/match/match-unit.ts';
import { openWorkshop } from './compile.ts';
import type { FakeKernel } from './fake-kernel.ts';
import { smallKernel } from './small-kernel.ts';
import { staticBranch } from './static-branch.ts';

const flags =
  '-O2 -std=gnu11 -mcmodel=kernel -mno-red-zone -fno-PIE -fno-common -fcf-protection=none -fno-asynchronous-unwind-tables -mno-sse -I.'.split(
    ' ',
  );
export const fentry = ['-pg', '-mfentry', '-mrecord-mcount'];
/** As units of a patched source are compiled. */
export const sectioned = [...fentry, '-ffunction-sections', '-fdata-sections'];

const pre = `
int printk(const char *format, ...);
static int counter;
__attribute__((section(".data..percpu"))) int state;
__attribute__((noinline)) static int helper(int x) { counter += x; return printk("%d", counter); }
int handle(int x) { return helper(x) + helper(x + 1) + *(int *)&state; }
`;

/** What extraction leaves of the patched unit: the changed function, references to the rest undefined. */
const replacement = `
struct static_key { int enabled; };
extern struct static_key locked_key, key;
${staticBranch()}
int printk(const char *format, ...);
extern int counter, state;
int helper(int x);
__attribute__((section(".data..percpu..shared_aligned"), aligned(64))) int new_percpu = 3;
__attribute__((section(".data..percpu"))) int other_percpu = 4;
static const char *const messages[] = { "one", "two" };
static int new_state[16];
__attribute__((noinline)) int added(int x) { new_state[x & 15]++; return new_percpu + other_percpu; }
int handle(int x)
{
  if (static_branch(&locked_key))
    printk("locked");
  if (static_branch(&key))
    printk("free");
  if (x < 0)
    return -22;
  counter = x;
  return helper(x) + added(x) + state + printk(messages[x & 1], x);
}
asm(".pushsection .discard.addressable,\\"aw\\"\\n .quad handle\\n .popsection");
asm(".pushsection __ksymtab,\\"a\\"\\n .long handle - .\\n .popsection");
asm(".pushsection .modinfo,\\"a\\"\\n .asciz \\"author=nobody\\"\\n .popsection");
`;

/** core/stub/update.c with a struct module of our own. */
const stubSource = `
#include "ksplice.h"
struct module { int state; void *list[2]; char name[56]; int (*init)(void); char rest[700]; void (*exit)(void); };
extern struct module __this_module;
extern const char ksplice_update_id[];
extern const struct ksplice_function ksplice_update_functions[];
extern const u32 ksplice_update_nr_functions, ksplice_update_flags;
static struct ksplice_update update = {
  .owner = &__this_module, .id = ksplice_update_id, .functions = ksplice_update_functions,
  .interface = KSPLICE_INTERFACE,
};
int init_module(void)
{
  update.nr_functions = ksplice_update_nr_functions;
  update.flags = ksplice_update_flags;
  return ksplice_register(&update);
}
void cleanup_module(void) { ksplice_unregister(&update); }
__attribute__((section(".gnu.linkonce.this_module"), visibility("default")))
struct module __this_module = { .name = "ksplice_stub", .init = init_module, .exit = cleanup_module };
asm(".pushsection .modinfo,\\"a\\"\\n .asciz \\"license=GPL\\"\\n .asciz \\"name=ksplice_stub\\"\\n"
  " .asciz \\"retpoline=Y\\"\\n .popsection");
`;

const types = 'typedef unsigned char u8;\ntypedef unsigned int u32;\n#define BIT(n) (1UL << (n))\n';
const ksplice = readFileSync(new URL('../../core/ksplice.h', import.meta.url), 'utf8').replace(
  '#include <linux/types.h>',
  types,
);

/** An object of a C source, which may include "ksplice.h". */
export function compile(source: string, more: readonly string[], name: string): ObjectFile {
  using workshop = openWorkshop();
  workshop.write('ksplice.h', ksplice);
  workshop.compile('unit.c', source, [...flags, ...more]);
  return readObject(workshop.read('unit.o'), name);
}

export const preObject = compile(pre, fentry, 'fs/a.o');
export const replacementObject = compile(replacement, sectioned, 'fs/a.o (replacement)');
export const stubObject = compile(stubSource, [], 'stub.o');

export const LOCKED = 0xffffffff82a00010n;
export const REGISTER = 0xffffffffc0800100n;

export function unit(symbol: string): UnitReference {
  return { symbol, scope: 'unit', preName: symbol, weak: false };
}

/** What is replaced, behind its ftrace entry. */
export function replaced(name: string): readonly [ReplacedFunction] {
  return [{ name, preName: name, site: { offset: 5, size: 5 } }];
}

/** Where the core's functions are. */
export function coreAddress(name: string): Address | undefined {
  return /^ksplice_(un)?register$/.test(name) ? toAddress(REGISTER) : undefined;
}

type UnitToLink = UpdateToLink['units'][number];

/** A unit of an update, fs/a.o unless told, with nothing in it that has to be told. */
export function unitToLink(match: UnitToLink['match'], more: Partial<UnitToLink> = {}): UnitToLink {
  return {
    match,
    below: new Map(),
    replacement: replacementObject,
    functions: replaced('handle'),
    hooks: [],
    references: [],
    ...more,
  };
}

export interface Linked {
  readonly kernel: FakeKernel;
  readonly module: LinkedModule;
  readonly object: ObjectFile;
  readonly old: (name: string) => bigint;
}

/** An update of fs/a.o, linked to a kernel that has it. `locked`: the value of the key that is read-only. */
export function link(options: { locked?: number; changes?: Partial<UpdateToLink> } = {}): Linked {
  const kernel = smallKernel();
  const loaded = kernel.load(preObject, { '.text': 0xffffffff81234000n });
  kernel.define('__start_ro_after_init', LOCKED - 0x10n, 'D');
  kernel.define('__end_ro_after_init', LOCKED + 0x10n, 'D');
  kernel.define('locked_key', kernel.map(LOCKED, [options.locked ?? 0, 0, 0, 0]), 'D');
  const match = matchUnit(preObject, kernel);
  if (match.kind !== 'match') throw new Error(JSON.stringify(match.mismatch));
  const module = linkUpdate(
    {
      id: 'fix_1',
      on: [],
      units: [unitToLink(match, { references: [unit('counter'), unit('helper')] })],
      stub: stubObject,
      moduleLayoutCrc: 0x12345678,
      resident: true,
      ...options.changes,
    },
    kernel,
    coreAddress,
  );
  return { kernel, module, object: readObject(module.bytes, 'ksplice_fix_1.ko'), old: loaded.at };
}

/** The only section of this name. */
export function named(object: ObjectFile, name: string): Section {
  const found = object.sections.filter((each) => each.name === name);
  const [only] = found;
  if (only === undefined || found.length > 1) throw new Error(`${found.length} sections ${name}`);
  return only;
}
