/**
 * Asking apt. Packages are found and fetched by name and version, through the machine's own apt configuration,
 * and never installed. apt's messages name the machine's package archive, which is nobody else's business: they
 * are not passed on.
 */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readdirSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { MissingError } from '../diagnostics/error.ts';
import { CommandError } from '../process/command-error.ts';
import { withFileLock } from '../process/file-lock.ts';
import { run } from '../process/run.ts';
import { type AptPackage, parseAptShow } from './apt-package.ts';
import type { DebianOptions } from './options.ts';

/** `apt-cache show` and `search` exit with this when they find nothing. */
const NOTHING_FOUND = 100;

/** Every downloadable version of the named packages; none for a name that apt does not know. */
export async function showPackages(
  names: readonly string[],
  options: DebianOptions,
): Promise<readonly AptPackage[]> {
  options.onProgress?.(`asking apt about ${names.join(', ')}`);
  const { stdout } = await run(['apt-cache', 'show', '--', ...names], {
    okExitCodes: [0, NOTHING_FOUND],
    ...signalOf(options),
  });
  return parseAptShow(stdout);
}

/** Names of the packages that match the regular expression, in apt's lists. */
export async function searchPackages(pattern: string, options: DebianOptions): Promise<readonly string[]> {
  const { stdout } = await run(['apt-cache', 'search', '--names-only', '--', pattern], {
    okExitCodes: [0, NOTHING_FOUND],
    ...signalOf(options),
  });
  return stdout.split('\n').flatMap((line) => {
    const end = line.indexOf(' - ');
    return end > 0 ? [line.slice(0, end)] : [];
  });
}

/**
 * Makes sure that the .deb of each package is in the cache, and returns the files' paths in the same order.
 * A file there is whole: it is verified against size and hash before it gets its name.
 * Throws MissingError `download_failed`.
 */
export async function fetchPackages(
  packages: readonly AptPackage[],
  options: DebianOptions,
): Promise<readonly string[]> {
  const store = path.join(options.cacheDir, 'debian', 'packages');
  const fileOf = (wanted: AptPackage): string =>
    path.join(store, `${wanted.name}_${wanted.version}_${wanted.architecture}.deb`);
  const files = packages.map(fileOf);
  if (files.every((file) => existsSync(file))) {
    return files;
  }
  await withFileLock(
    path.join(options.cacheDir, 'debian', 'packages.lock'),
    async () => {
      const missing = packages.filter((wanted) => !existsSync(fileOf(wanted)));
      if (missing.length > 0) {
        await removeAbandoned(store);
        await downloadInto(store, missing, fileOf, options);
      }
    },
    {
      wait: true,
      busyCode: 'download_failed',
      onWait: () => options.onProgress?.('waiting for another process that downloads packages'),
    },
  );
  return files;
}

const INCOMING = 'incoming-';

async function downloadInto(
  store: string,
  packages: readonly AptPackage[],
  fileOf: (wanted: AptPackage) => string,
  options: DebianOptions,
): Promise<void> {
  await mkdir(store, { recursive: true });
  const incoming = await mkdtemp(path.join(store, INCOMING));
  try {
    for (const wanted of packages) {
      const size = (wanted.size / 1e6).toFixed(1);
      options.onProgress?.(`downloading ${wanted.name} ${wanted.version} (${size} MB)`);
    }
    const specs = packages.map((wanted) => `${wanted.name}=${wanted.version}`);
    const stop = tellArrived(incoming, options);
    try {
      // As root, apt hands the download to a user of its own, who cannot write here, and warns about it.
      await run(['apt-get', '-q', '-o', 'APT::Sandbox::User=root', 'download', '--', ...specs], {
        cwd: incoming,
        ...signalOf(options),
      });
    } catch (error) {
      throw downloadFailure(error, specs);
    } finally {
      stop();
    }
    const arrived = await readdir(incoming);
    for (const wanted of packages) {
      const name = arrived.find((entry) => entry.startsWith(`${wanted.name}_`) && entry.endsWith('.deb'));
      if (name === undefined) {
        throw new MissingError(
          'download_failed',
          `${wanted.name} ${wanted.version}: apt-get downloaded no file`,
        );
      }
      const file = path.join(incoming, name);
      await verify(file, wanted);
      await rename(file, fileOf(wanted));
    }
  } finally {
    await rm(incoming, { recursive: true, force: true });
  }
}

const TELL_MS = 500;

/** Tells twice a second how much has arrived (apt itself says nothing where it is no terminal). Returns its end. */
function tellArrived(incoming: string, { onProgress }: DebianOptions): () => void {
  const timer = setInterval(() => {
    try {
      const files = readdirSync(incoming).map((name) => statSync(path.join(incoming, name)));
      const arrived = files.reduce((sum, { size }) => sum + size, 0);
      onProgress?.(`${(arrived / 1e6).toFixed(1)} MB have arrived`, 'detail');
    } catch {
      // apt renames its files meanwhile: the next look tells.
    }
  }, TELL_MS);
  return () => {
    clearInterval(timer);
  };
}

/** Only the holder of the lock downloads, so any other incoming directory is what a killed run left. */
async function removeAbandoned(store: string): Promise<void> {
  const entries = existsSync(store) ? await readdir(store) : [];
  for (const entry of entries.filter((name) => name.startsWith(INCOMING))) {
    await rm(path.join(store, entry), { recursive: true, force: true });
  }
}

async function verify(file: string, wanted: AptPackage): Promise<void> {
  const { size } = await stat(file);
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  const sha256 = hash.digest('hex');
  if (size !== wanted.size || sha256 !== wanted.sha256) {
    throw new MissingError(
      'download_failed',
      `${wanted.name} ${wanted.version}: downloaded ${size} bytes with SHA-256 ${sha256}, ` +
        `expected ${wanted.size} bytes with ${wanted.sha256}`,
      { hint: 'run apt-get update and try again' },
    );
  }
}

function downloadFailure(error: unknown, specs: readonly string[]): unknown {
  if (!(error instanceof CommandError) || error.code !== 'command_failed') {
    return error;
  }
  const how =
    error.status === undefined ? `was ended by ${String(error.signal)}` : `exit status ${error.status}`;
  return new MissingError('download_failed', `apt-get could not download ${specs.join(' ')} (${how})`, {
    hint: `run apt-get update; apt-get download ${specs.join(' ')} shows apt's own message`,
  });
}

function signalOf(options: DebianOptions): { readonly signal?: AbortSignal } {
  return options.signal === undefined ? {} : { signal: options.signal };
}
