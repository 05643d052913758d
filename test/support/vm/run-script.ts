import { expect } from 'vitest';
import type { Vm } from './vm.ts';

/** Runs a shell script in a guest, which has to succeed; what it prints, trimmed. */
export async function runScript(vm: Vm, text: string, timeoutMs = 120_000): Promise<string> {
  const { exitCode, stdout, stderr } = await vm.run(text, { timeoutMs });
  expect(exitCode, `${text}\n${stdout}${stderr}`).toBe(0);
  return stdout.trim();
}
