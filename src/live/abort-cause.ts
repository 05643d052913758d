/**
 * What the core's abort causes mean, and what to do: the one place where they become errors.
 */
import {
  BusyError,
  InternalError,
  type KspliceError,
  MatchError,
  MissingError,
  RefusedError,
} from '../diagnostics/error.ts';
import { abortCauseOf, type Conflict, conflictsOf, failedHookOf } from './core-sysfs.ts';

/** Words of core/safe_point.c that stand where functions do. */
const ENDING = '*';
const KPROBE_SLOT = 'kprobe-slot';

export function describeConflict(conflict: Conflict): string {
  // It has left the list of threads, so nobody can tell where it is.
  if (conflict.functions.includes(ENDING)) return 'a thread that is just ending';
  const places = conflict.functions.map((each) => (each === KPROBE_SLOT ? 'code of a kprobe' : each));
  return `${conflict.task} (pid ${conflict.pid}) is in ${places.join(', ')}`;
}

/** A message is read by a person: so many are named, and the others counted. All are in `details`. */
const NAMED = 8;

export function listNames(names: readonly string[], separator: string): string {
  const rest = names.length - NAMED;
  return [...names.slice(0, NAMED), ...(rest > 0 ? [`and ${rest} more`] : [])].join(separator);
}

/** Going back would leave a fixed module to a kernel that is not. `module`: its name, or words for it. */
export function coldUpdateLoaded(id: string, module: string): BusyError {
  return new BusyError(
    'cold_update_loaded',
    `${id}: cannot undo: ${module} is loaded, and it is the fixed one; the update is still applied`,
    {
      hint: 'unload the module first (modprobe -r), undo, and load it again; lsmod tells who uses it',
      details: { id, module },
    },
  );
}

/** A hook of the update's author has refused a change of stage. `what`: how the hook is called. */
export function callFailed(
  id: string,
  verb: 'apply' | 'undo',
  what: string,
  hook: { readonly name: string; readonly result: number } | undefined,
  details: Readonly<Record<string, unknown>>,
  state: string,
): RefusedError {
  return new RefusedError(
    'call_failed',
    `${id}: cannot ${verb}: ${what} refused it (returned ${hook?.result ?? 'an error'}); ${state}`,
    {
      hint: "the check is the author's: the patch says what it asks for (ksplice view --file FILE shows it)",
      details: { ...details, hook },
    },
  );
}

/**
 * The error for a change of stage that the core did not make. `ids`: of the updates that were to change together, of which
 * the core gives each the same account. `probes`: kprobes in the functions concerned.
 */
export function abortError(
  ids: readonly [string, ...string[]],
  verb: 'apply' | 'undo',
  errno: string,
  probes: readonly string[] = [],
): KspliceError {
  const [first] = ids;
  const id = ids.join(', ');
  const cause = abortCauseOf(first);
  const conflicts = conflictsOf(first);
  const still = ids.length === 1 ? 'the update is still applied' : 'all of them are still applied';
  const state = verb === 'apply' ? 'the kernel is as it was' : still;
  const details = { id: first, ...(ids.length === 1 ? {} : { ids }), cause, errno, conflicts };
  switch (cause) {
    case 'code_busy': {
      const inTheWay = conflicts.length > 0 ? conflicts.map(describeConflict) : probes;
      const who = listNames(inTheWay, '; ') || 'something else owns the bytes, see dmesg';
      return new BusyError('code_busy', `${id}: cannot ${verb}, code in use: ${who}; ${state}`, {
        hint: 'try again when these tasks have left the function; a kprobe on it has to be removed first',
        details,
      });
    }
    case 'unexpected_running_task':
      return new BusyError(
        'unexpected_running_task',
        `${id}: cannot ${verb}: ${listNames(
          conflicts.map(({ task, pid }) => `${task} (pid ${pid})`),
          ', ',
        )} ran while all CPUs were to stand still; ${state}`,
        { hint: 'try again; if it stays so, please report it with the output of dmesg', details },
      );
    case 'module_busy':
      return new BusyError(
        'module_busy',
        `${id}: cannot ${verb}: another update has the function; ${state}`,
        {
          hint: 'undo the other update first (ksplice view); dmesg names it',
          details,
        },
      );
    case 'no_match':
      return new MatchError('no_match', `${id}: the code changed between matching and the stop; ${state}`, {
        hint: 'dmesg names the byte; a kprobe or another tool may have written to the function just now',
        details,
      });
    case 'call_failed': {
      const owner = ids.find((each) => failedHookOf(each) !== undefined) ?? first;
      const hook = failedHookOf(owner);
      const whose = ids.length === 1 ? 'its hook' : `the hook of ${owner},`;
      const what = hook === undefined ? 'a hook' : `${whose} ${hook.name}`;
      return callFailed(id, verb, what, hook, details, state);
    }
    case 'cold_update_loaded':
      return coldUpdateLoaded(id, 'a module that it was applied without');
    case 'target_not_loaded':
      return new MissingError(
        'target_not_loaded',
        `${id}: a module that the update needs is gone; ${state}`,
        {
          hint:
            verb === 'apply'
              ? 'load the module again (modprobe) and apply the update again'
              : 'it was unloaded by force, and what lies there now must not be written to: the update stays as it is until the machine boots again',
          details,
        },
      );
    case 'out_of_memory':
      return new BusyError('out_of_memory', `${id}: the kernel has no memory for the switch; ${state}`, {
        hint: 'try again when memory is free',
        details,
      });
    default:
      // What it will come to is for the other one to say, not for us.
      if (errno === 'EBUSY') {
        return new BusyError(
          'module_busy',
          `${id}: cannot ${verb}: another program is switching it just now`,
          {
            hint: 'ksplice view shows what came of it',
            details,
          },
        );
      }
      return new InternalError('unexpected', `${id}: cannot ${verb}: ${cause} (${errno}); ${state}`, {
        hint: 'please report it, with the lines of dmesg that begin with ksplice',
        details,
      });
  }
}
