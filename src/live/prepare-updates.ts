/**
 * What can be done before it is this run's turn to change the machine: objects read, and the symbols
 * that they need looked up. Nothing of it depends on what another run does meanwhile.
 */
import { RunningKernel } from '../kernel/running-kernel.ts';
import { namesOf, readObjects, type UpdateObjects } from '../link/update-objects.ts';
import type { Update } from '../update/update.ts';

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
