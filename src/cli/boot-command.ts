import { buildCommand, buildRouteMap, type Command, type RouteMap } from '@stricli/core';
import { type CliContext, commonAliases, commonFlags, describeCommand, lazily } from './command.ts';
import type { CommonFlags } from './session.ts';

type Body = typeof import('./boot.ts');

/** All of them take no argument. */
function bootCommand(
  pick: (body: Body) => Body[keyof Body],
  docs: {
    readonly brief: string;
    readonly what: string;
    readonly codes: readonly number[];
    readonly example: string;
  },
): Command<CliContext> {
  return buildCommand<CommonFlags, [], CliContext>({
    loader: lazily(async () => pick(await import('./boot.ts'))),
    parameters: {
      flags: { ...commonFlags },
      aliases: commonAliases,
    },
    docs: {
      brief: docs.brief,
      fullDescription: describeCommand(docs.what, docs.codes, [docs.example]),
    },
  });
}

export const bootCommands: RouteMap<CliContext> = buildRouteMap<
  'apply' | 'retry' | 'status' | 'good' | 'shutdown',
  CliContext
>({
  routes: {
    apply: bootCommand((body) => body.bootApply, {
      brief: 'Apply what is installed for the running kernel',
      what: "Applies the installed updates of the running kernel, in an order in which they can be. ksplice.service runs it early in\nthe boot. Nothing is applied after a crash that followed them (ksplice boot retry), or with noksplice on the kernel's command line.",
      codes: [0, 2, 65, 69, 70],
      example: 'sudo ksplice boot apply',
    }),
    retry: bootCommand((body) => body.bootRetry, {
      brief: 'Apply what is held back after a crash',
      what: 'Forgets that the machine went down after the installed updates of this kernel were applied, and applies them.',
      codes: [0, 2, 65, 69, 70],
      example: 'sudo ksplice boot retry',
    }),
    status: bootCommand((body) => body.bootStatus, {
      brief: 'Say whether all that is installed is applied, for monitors',
      what: 'Ends with 0 if each update that is installed for the running kernel is applied, with 2 if the crash guard holds them\nback, and with 69 if one is not applied for another reason.',
      codes: [0, 2, 65, 69, 70],
      example: 'ksplice boot status --json',
    }),
    good: bootCommand((body) => body.bootGood, {
      brief: 'Note that the machine runs well with what was applied',
      what: 'Tells the crash guard that this boot went well. ksplice-good.timer runs it ten minutes after updates were applied.',
      codes: [0, 65, 69, 70],
      example: 'sudo ksplice boot good',
    }),
    shutdown: bootCommand((body) => body.bootShutdown, {
      brief: 'Note that the machine shuts down in order',
      what: 'Tells the crash guard that this boot ends without a crash. ksplice.service runs it when the machine shuts down; at other\ntimes it notes nothing.',
      codes: [0, 65, 69, 70],
      example: 'sudo ksplice boot shutdown',
    }),
  },
  docs: { brief: 'Installed updates when the machine boots: apply them, see how they stand' },
});
