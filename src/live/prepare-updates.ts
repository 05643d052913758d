/**
 * What can be done before it is this run's turn to change the machine: objects read, and the symbols
 * that they need looked up. Nothing of it depends on what another run does meanwhile.
 */
import { undefinedNames } from '../elf/bind-symbols.ts';
import type { ObjectFile } from '../elf/model.ts';
import { readObject } from '../elf/read-object.ts';
import { RunningKernel } from '../kernel/running-kernel.ts';
import { namesToLink } from '../link/link-update.ts';
import { namesToLookUp } from '../match/match-unit.ts';
import type { Update } from '../update/update.ts';

/** The objects of an update, read once. */
export interface UpdateObjects {
  readonly units: readonly {
    readonly path: string;
    readonly pre: ObjectFile;
    readonly replacement: ObjectFile;
  }[];
  /** Names that the linked core refers to. */
  readonly coreNames: readonly string[];
  readonly stub: ObjectFile;
}

function readObjects(update: Update): UpdateObjects {
  return {
    units: update.units.map(({ path, pre, replacement }) => ({
      path,
      pre: readObject(pre, path),
      replacement: readObject(replacement, `${path} (replacement)`),
    })),
    coreNames: undefinedNames(update.core, 'core.ko'),
    stub: readObject(update.stub, 'stub.o'),
  };
}

/** Everything that the whole apply asks kallsyms for, so that it is scanned once. */
function namesOf(objects: UpdateObjects): readonly string[] {
  const pre = objects.units.map((unit) => unit.pre);
  const replacements = objects.units.map((unit) => unit.replacement);
  return [...pre.flatMap(namesToLookUp), ...namesToLink(replacements, objects.stub), ...objects.coreNames];
}

export interface PreparedUpdate {
  readonly update: Update;
  readonly objects: UpdateObjects;
}

/** Updates that are ready to be applied, and the kernel to apply them to; closed by who made it. */
export class PreparedUpdates implements Disposable {
  readonly kernel: RunningKernel;
  readonly list: readonly PreparedUpdate[];

  /** Throws MissingError where the machine does not let its memory or symbols be read, FormatError. */
  constructor(updates: readonly Update[]) {
    this.list = updates.map((update) => ({ update, objects: readObjects(update) }));
    this.kernel = new RunningKernel();
    try {
      this.kernel.prefetch(this.list.flatMap(({ objects }) => namesOf(objects)));
    } catch (error) {
      this.kernel.close();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.kernel.close();
  }
}
