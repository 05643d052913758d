/** `npm run man`: makes build/man, with the man pages as packages install them. */
import { join, resolve } from 'node:path';
import { VERSION } from '../src/cli/version.ts';
import { readManPages, writeManPages } from './man-pages.ts';

const root = resolve(import.meta.dirname, '..');
const folder = join(root, 'build', 'man');
const written = writeManPages(readManPages(root, VERSION), folder);
process.stdout.write(`${written.length} man pages in ${folder}\n`);
