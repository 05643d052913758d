import { UsageError } from '../diagnostics/error.ts';
import { writeWhole } from '../process/write-whole.ts';

/** Writes a file that the command line names, whole or not at all. Throws UsageError if it cannot be written. */
export async function writeOutput(file: string, bytes: string | Uint8Array): Promise<void> {
  try {
    await writeWhole(file, bytes);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError('usage', `cannot write ${file}: ${reason}`, {
      hint: 'choose another place, or make room there',
      cause,
    });
  }
}
