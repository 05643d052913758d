/**
 * Preloaded into the tool in a guest (NODE_OPTIONS=--require): does something to the machine at a moment chosen
 * beforehand, as other programs may.
 *
 * KSPLICE_TEST_AT names a pass, KSPLICE_TEST_RUN is a shell script: it runs, and ends, before that pass begins. The
 * tool itself knows nothing of this.
 */
'use strict';

const fs = require('node:fs');
const { execFileSync } = require('node:child_process');
const { KSPLICE_TEST_AT: pass, KSPLICE_TEST_RUN: script } = process.env;

const append = fs.appendFileSync;
fs.appendFileSync = (file, data, ...rest) => {
  if (String(data).endsWith(` ${pass}\n`)) execFileSync('/bin/sh', ['-c', script], { stdio: 'ignore' });
  append(file, data, ...rest);
};
