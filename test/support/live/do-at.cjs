/**
 * Preloaded into the tool in a guest (NODE_OPTIONS=--require): does something to the machine at a moment chosen
 * beforehand, as other programs may.
 *
 * KSPLICE_TEST_AT names a pass, or is `spawn WORD`, or `open FILE PASS`; KSPLICE_TEST_RUN is a shell script: it runs, and
 * ends, before that pass begins; or once a program with WORD among its arguments has been started; or when that file is
 * about to be read for the first time in that pass or after it. The tool itself knows nothing of this.
 */
'use strict';

const fs = require('node:fs');
const childProcess = require('node:child_process');
const { KSPLICE_TEST_AT: pass, KSPLICE_TEST_RUN: script } = process.env;
const word = pass.startsWith('spawn ') ? pass.slice('spawn '.length) : undefined;
const [, file, since] = /^open (\S+) (\S+)$/.exec(pass) ?? [];
let isAwaited = false;
const { execFileSync, spawn } = childProcess;

const append = fs.appendFileSync;
fs.appendFileSync = (to, data, ...rest) => {
  if (String(data).endsWith(` ${pass}\n`)) execFileSync('/bin/sh', ['-c', script], { stdio: 'ignore' });
  if (since !== undefined && String(data).endsWith(` ${since}\n`)) isAwaited = true;
  append(to, data, ...rest);
};

const open = fs.openSync;
fs.openSync = (path, ...rest) => {
  if (isAwaited && path === file) {
    isAwaited = false;
    execFileSync('/bin/sh', ['-c', script], { stdio: 'ignore' });
  }
  return open(path, ...rest);
};

childProcess.spawn = (...args) => {
  const child = spawn(...args);
  if (word !== undefined && (args[1] ?? []).some((each) => each.endsWith(word))) {
    execFileSync('/bin/sh', ['-c', script], { stdio: 'ignore' });
  }
  return child;
};
