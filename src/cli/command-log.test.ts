import { describe, expect, it } from 'vitest';
import { run } from '../process/run.ts';
import { watchCommands } from './command-log.ts';

describe('watchCommands', () => {
  it('tells of every command, quoted, until it is ended', async () => {
    const lines: string[] = [];
    const unwatch = watchCommands((line) => lines.push(line));
    await run(['true', 'two words']);
    unwatch();
    await run(['true', 'unseen']);
    expect(lines).toEqual(["true 'two words'"]);
  });
});
