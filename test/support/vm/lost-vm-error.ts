/** Errors of a guest, as opposed to errors of what runs in it. */

/** The guest died, or stopped answering: its kernel panicked, it powered off, or QEMU ended. */
export class LostVmError extends Error {
  override readonly name = 'LostVmError';
  /** The last lines on the console. */
  readonly consoleTail: string;
  /** Where the whole console is kept, if it is. */
  readonly transcript: string | undefined;

  constructor(message: string, consoleTail: string, transcript: string | undefined, cause?: unknown) {
    const where = transcript === undefined ? '' : `\nwhole transcript: ${transcript}`;
    super(
      `${message}\nlast lines of the console:\n${consoleTail}${where}`,
      cause === undefined ? {} : { cause },
    );
    this.consoleTail = consoleTail;
    this.transcript = transcript;
  }
}

/** A command ran longer than its caller allowed; it was killed, the guest lives. */
export class VmTimeoutError extends Error {
  override readonly name = 'VmTimeoutError';
  readonly stdout: string;
  readonly stderr: string;

  constructor(message: string, stdout: string, stderr: string) {
    super(`${message}\nstandard output so far:\n${stdout}\nstandard error so far:\n${stderr}`);
    this.stdout = stdout;
    this.stderr = stderr;
  }
}
