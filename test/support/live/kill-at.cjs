/**
 * Preloaded into the tool in a guest (NODE_OPTIONS=--require): lets it die at a place chosen beforehand.
 *
 * KSPLICE_TEST_KILL names the place: `before PASS` and `after PASS`, around the journal's line of that pass, or
 * `spawn WORD`, once a program with WORD among its arguments has been started. KSPLICE_TEST_SIGNAL is the signal,
 * SIGKILL unless told. The tool itself knows nothing of this.
 */
'use strict';

const fs = require('node:fs');
const childProcess = require('node:child_process');
const [when, what] = (process.env.KSPLICE_TEST_KILL ?? '').split(' ');

function die() {
  process.kill(process.pid, process.env.KSPLICE_TEST_SIGNAL ?? 'SIGKILL');
}

const append = fs.appendFileSync;
fs.appendFileSync = (file, data, ...rest) => {
  const isThere = String(data).endsWith(` ${what}\n`);
  if (isThere && when === 'before') die();
  append(file, data, ...rest);
  if (isThere && when === 'after') die();
};

const { spawn } = childProcess;
childProcess.spawn = (...args) => {
  const child = spawn(...args);
  if (when === 'spawn' && (args[1] ?? []).some((word) => word.endsWith(what))) die();
  return child;
};
