import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { quoteCommand } from '../process/quote.ts';

/**
 * Tells of every program that this process starts, as a line to paste; returns what ends that. Node itself
 * publishes each new child process, so nobody has to hand a listener through every room.
 */
export function watchCommands(onCommand: (line: string) => void): () => void {
  const listener = (message: unknown): void => {
    // Published by the constructor: what it runs is known after spawn() has returned.
    queueMicrotask(() => {
      const argv = argvOf(message);
      if (argv.length > 0) {
        onCommand(quoteCommand(argv));
      }
    });
  };
  subscribe('child_process', listener);
  return () => {
    unsubscribe('child_process', listener);
  };
}

function argvOf(message: unknown): readonly string[] {
  if (typeof message !== 'object' || message === null || !('process' in message)) {
    return [];
  }
  const child = message.process;
  if (typeof child !== 'object' || child === null || !('spawnargs' in child)) {
    return [];
  }
  const { spawnargs } = child;
  return Array.isArray(spawnargs) ? spawnargs.map(String) : [];
}
