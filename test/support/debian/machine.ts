import type { Vm } from '../vm/vm.ts';
import { bootDebian, pullThePlug, shutDown } from './debian-guest.ts';

export interface CommandOutcome {
  readonly exitCode: number;
  /** Standard output, then standard error. */
  readonly text: string;
}

/** One Debian on one disk, through its boots. */
export class DebianMachine {
  readonly #disk: string;
  readonly #release: string;
  #vm: Vm | undefined;

  private constructor(disk: string, release: string) {
    this.#disk = disk;
    this.#release = release;
  }

  static async boot(disk: string, release: string): Promise<DebianMachine> {
    const machine = new DebianMachine(disk, release);
    await machine.switchOn();
    return machine;
  }

  get vm(): Vm {
    if (this.#vm === undefined) throw new Error('the machine is off');
    return this.#vm;
  }

  /** A shell command, as root. */
  async run(command: string): Promise<CommandOutcome> {
    const { exitCode, stdout, stderr } = await this.vm.run(command, { timeoutMs: 300_000 });
    return { exitCode, text: `${stdout}${stderr}` };
  }

  /** @param append goes to the end of the kernel's command line */
  async switchOn(release = this.#release, append = ''): Promise<void> {
    this.#vm = await bootDebian(this.#disk, release, { append });
  }

  async shutDown(): Promise<void> {
    await shutDown(this.vm);
    this.#vm = undefined;
  }

  async pullThePlug(): Promise<void> {
    await pullThePlug(this.vm);
    this.#vm = undefined;
  }

  /** Runs a command that the machine does not outlive, and waits for its end. */
  async endWith(command: string): Promise<string> {
    const { vm } = this;
    // The answer is lost with the guest.
    await vm.run(command).catch(() => undefined);
    await vm.gone;
    const said = vm.console.text;
    await vm.close();
    this.#vm = undefined;
    return said;
  }

  async close(): Promise<void> {
    await this.#vm?.close();
  }

  /** `EPERM` with the fix of the test update, `ok` without. */
  async answer(): Promise<string> {
    return (await this.run('source_route 1000')).text.trim();
  }

  /** What the crash guard has noted of the last boot that applied updates. */
  async bootState(): Promise<string> {
    const { text } = await this.run(`sed -n 's/.*"state": "\\(.*\\)".*/\\1/p' /var/lib/ksplice/boot.json`);
    return text.trim();
  }
}
