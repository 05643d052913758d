import type { Engine } from './engine.ts';

/** What the commands on the machine are given by the command line, and what they report to. */
export interface LiveContext {
  readonly signal: AbortSignal;
  /** Ask the core to log every attempt. */
  readonly debug: boolean;
  /** A line of the core's, if it was asked for them. */
  readonly onDebug: (line: string) => void;
  /** Go on without targets that are not loaded, and install their fixed modules. */
  readonly partial: boolean;
  readonly engine: Engine;
  /** How long a transition of the kernel's livepatch may take, in milliseconds. */
  readonly waitMs: number;
  /** A step begins: `match net/ipv4/ip_options.o, 2 of 5`. */
  readonly onStep: (step: string) => void;
}
