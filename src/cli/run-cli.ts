/**
 * One run of the program: arguments in, text and exit status out. Nothing here touches the process, so tests run
 * it as it is.
 *
 * The framework prints what goes wrong itself, with exit codes of its own (-4, -5) and without JSON. Its texts
 * are functions that get the error, though: ours keep the error and print nothing, and it is reported here,
 * in one place, like every other.
 */
import {
  type Application,
  buildApplication,
  buildRouteMap,
  help,
  type RouteMap,
  run,
  type StricliProcess,
  text_en,
  version,
} from '@stricli/core';
import { BusyError, InternalError, UsageError } from '../diagnostics/error.ts';
import { CommandError } from '../process/command-error.ts';
import { asKspliceError, errorJson, errorText } from '../report/error-text.ts';
import { applyCommand } from './apply-command.ts';
import { bootCommands } from './boot-command.ts';
import { cacheCommands } from './cache-command.ts';
import { checkCommand } from './check-command.ts';
import type { CliContext } from './command.ts';
import { createCommand } from './create-command.ts';
import { debCommand } from './deb-command.ts';
import { debianCommands } from './debian-command.ts';
import { doctorCommand } from './doctor-command.ts';
import type { Host } from './host.ts';
import { inspectCommand } from './inspect-command.ts';
import { installCommand, uninstallCommand } from './install-command.ts';
import { kernelSeriesCommand } from './kernel-series-command.ts';
import { keyCommands } from './key-command.ts';
import { linkCommand } from './link-command.ts';
import { metricsCommand } from './metrics-command.ts';
import { unameCommand } from './uname-command.ts';
import { undoCommand } from './undo-command.ts';
import { argumentError, unknownCommand } from './usage-error.ts';
import { VERSION } from './version.ts';
import { viewCommand } from './view-command.ts';

/** All commands: also for what is to hold of every one of them. */
export const root: RouteMap<CliContext> = buildRouteMap<
  | 'create'
  | 'inspect'
  | 'check'
  | 'apply'
  | 'undo'
  | 'install'
  | 'uninstall'
  | 'boot'
  | 'view'
  | 'uname'
  | 'metrics'
  | 'doctor'
  | 'key'
  | 'deb'
  | 'debian'
  | 'kernel-series'
  | 'link'
  | 'cache',
  CliContext
>({
  routes: {
    create: createCommand,
    inspect: inspectCommand,
    check: checkCommand,
    apply: applyCommand,
    undo: undoCommand,
    install: installCommand,
    uninstall: uninstallCommand,
    boot: bootCommands,
    view: viewCommand,
    uname: unameCommand,
    metrics: metricsCommand,
    doctor: doctorCommand,
    key: keyCommands,
    deb: debCommand,
    debian: debianCommands,
    'kernel-series': kernelSeriesCommand,
    link: linkCommand,
    cache: cacheCommands,
  },
  docs: {
    brief: 'Updates a running Linux kernel without a reboot',
    fullDescription: [
      'Ksplice updates a running Linux kernel without a reboot: it makes an update from a source patch, proves that it fits',
      'the kernel in memory, and switches over in well under a millisecond.',
      '',
      'EXIT STATUS',
      '  0 done; 2 refused (understood, and not safe); 3 no change; 4 the kernel does not match; 5 busy (try again);',
      '  64 usage; 65 malformed input; 69 something needed is missing; 70 a bug in ksplice; 129, 130, 143 interrupted',
      '',
      'EXAMPLE',
      '  ksplice create --patch fix.patch --id fix',
      '  sudo ksplice apply fix.ksplice',
      '  sudo ksplice undo fix',
    ].join('\n'),
  },
});

/** Runs the command that `argv` (without node and script) asks for; returns the exit status. */
export async function runCli(argv: readonly string[], host: Host): Promise<number> {
  const failures: unknown[] = [];
  let helpText = '';
  let endStatus = 0;
  const context: CliContext & { readonly process: StricliProcess & { exitCode?: number | string | null } } = {
    host,
    endWith: (wanted) => {
      endStatus = wanted;
    },
    process: {
      stdout: { write: (text) => (helpText += text) },
      stderr: { write: () => undefined },
      env: {},
    },
  };
  if (argv.length === 0 || (argv.length === 1 && ['boot', 'debian', 'key'].includes(argv[0] ?? ''))) {
    const hint = `see ${['ksplice', ...argv].join(' ')} --help`;
    failures.push(new UsageError('usage', 'a command is missing', { hint }));
  } else {
    await run(applicationFor(failures), argv, context);
  }
  host.stdout(helpText);
  const status = Number(context.process.exitCode ?? 0);
  if (failures.length === 0 && status !== 0) {
    failures.push(new InternalError('unexpected', `the command line could not be run (${status})`));
  }
  return failures.length === 0 ? endStatus : reportFailure(failures[0], argv, host);
}

function applicationFor(failures: unknown[]): Application<CliContext> {
  const keep = (error: unknown): string => {
    failures.push(error);
    return '';
  };
  return buildApplication<CliContext>(
    root,
    {
      name: 'ksplice',
      scanner: { caseStyle: 'original', allowArgumentEscapeSequence: true },
      documentation: { disableAnsiColor: true },
      localization: {
        text: {
          ...text_en,
          noCommandRegisteredForInput: ({ input, corrections }) => keep(unknownCommand(input, corrections)),
          exceptionWhileParsingArguments: (error) => keep(argumentError(error)),
          exceptionWhileLoadingCommandFunction: keep,
          exceptionWhileLoadingCommandContext: keep,
          exceptionWhileRunningCommand: keep,
          exceptionWhileRunningIntegrationHook: ({ exception }) => keep(exception),
          exceptionWhileRunningIntegrationFlag: ({ exception }) => keep(exception),
          commandErrorResult: keep,
        },
      },
    },
    {
      help: help({
        brief: 'Print this help and exit',
        alias: 'h',
        defaultForRouteMap: true,
        includeHidden: false,
        formatting: { caseStyle: 'original', useAliasInUsageLine: false, onlyRequiredInUsageLine: false },
      }),
      version: version({
        brief: 'Print the version and exit',
        alias: false,
        info: { currentVersion: `ksplice ${VERSION}` },
      }),
    },
  );
}

/** As a shell reports a program that the signal ended. */
const SIGNAL_STATUS: Readonly<Record<string, number>> = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };

/** Prints the error where it is looked for. An error after a signal is the signal's doing, whatever it says. */
function reportFailure(thrown: unknown, argv: readonly string[], host: Host): number {
  let error = asKspliceError(thrown);
  let status = error.exitCode;
  if (host.signal.aborted) {
    if (error instanceof CommandError) {
      // Its last words are those of who was told to stop, and nobody's news.
      error = new BusyError('interrupted', 'interrupted', { cause: error });
    } else if (error.code !== 'interrupted') {
      error = new BusyError('interrupted', `interrupted: ${error.message}`, { cause: error });
    }
    status = SIGNAL_STATUS[String(host.signal.reason)] ?? 130;
  }
  const end = argv.indexOf('--');
  const flags = end < 0 ? argv : argv.slice(0, end);
  if (flags.includes('--json')) {
    host.stdout(`${JSON.stringify(errorJson(error), null, 2)}\n`);
  } else {
    host.stderr.write(errorText(error, flags.includes('-v') || flags.includes('--verbose')));
  }
  return status;
}
