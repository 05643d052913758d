/**
 * Completions for bash, zsh and fish, from the commands as they are defined. Stricli can propose them at run time, but that starts the program
 * for each Tab; what can be completed changes with the version only, so it is written down when the package is made.
 */
import type { Command, RouteMap } from '@stricli/core';
import type { CliContext } from '../../src/cli/command.ts';

interface Option {
  /** Without dashes. */
  readonly name: string;
  readonly alias: string | undefined;
  readonly brief: string;
  /** `FILE`, `ID`; undefined if it takes no value. */
  readonly value: string | undefined;
  /** All that its value may be; empty if that is no list. */
  readonly choices: readonly string[];
}

export interface CompletedCommand {
  /** `apply`, `key sign`. */
  readonly name: string;
  readonly brief: string;
  readonly options: readonly Option[];
  /** What its arguments are; undefined if it takes none. */
  readonly argument: string | undefined;
}

type Target = Command<CliContext> | RouteMap<CliContext>;

function isRouteMap(target: Target): target is RouteMap<CliContext> {
  return 'getAllEntries' in target;
}

function describe(name: string, target: Command<CliContext>): CompletedCommand {
  const { flags = {}, aliases = {}, positional } = target.parameters;
  const options = Object.entries(flags).map(([flag, definition]): Option => {
    const alias = Object.entries(aliases).find(([, long]) => long === flag)?.[0];
    const value =
      definition.kind === 'boolean'
        ? undefined
        : ('placeholder' in definition && definition.placeholder) || 'VALUE';
    const choices = definition.kind === 'enum' ? definition.values : [];
    return { name: flag, alias, brief: definition.brief, value, choices };
  });
  const first =
    positional === undefined
      ? undefined
      : positional.kind === 'array'
        ? positional.parameter
        : positional.parameters[0];
  const help: Option = {
    name: 'help',
    alias: 'h',
    brief: 'Print this help and exit',
    value: undefined,
    choices: [],
  };
  return { name, brief: target.brief, options: [...options, help], argument: first?.placeholder };
}

/** Every command that does something, `key sign` and its like with both words. */
export function completedCommands(root: RouteMap<CliContext>): readonly CompletedCommand[] {
  const below = (prefix: string, map: RouteMap<CliContext>): readonly CompletedCommand[] =>
    map.getAllEntries().flatMap(({ name, target }) => {
      const full = `${prefix}${name.original}`;
      return isRouteMap(target) ? below(`${full} `, target) : [describe(full, target)];
    });
  return below('', root);
}

/** First words with what they do, and those that take a second one. */
function groups(commands: readonly CompletedCommand[]): ReadonlyMap<string, readonly CompletedCommand[]> {
  const map = new Map<string, CompletedCommand[]>();
  for (const command of commands) {
    const [word = ''] = command.name.split(' ');
    map.set(word, [...(map.get(word) ?? []), command]);
  }
  return map;
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
const words = ({ options }: CompletedCommand): readonly string[] =>
  options.flatMap(({ name, alias }) => [`--${name}`, ...(alias === undefined ? [] : [`-${alias}`])]);

/** IDs of updates on this machine, for what takes one. Silent where they cannot be seen. */
const LIST_IDS = 'ksplice view --json 2>/dev/null | sed -n \'s/^ *"id": "\\([a-z0-9_]*\\)".*/\\1/p\'';

export function bashCompletion(commands: readonly CompletedCommand[]): string {
  const cases = commands.map((command) => {
    const values = command.options
      .filter(({ value }) => value !== undefined)
      .flatMap(({ name, alias }) => [`--${name}`, ...(alias === undefined ? [] : [`-${alias}`])]);
    const listed = command.options.filter(({ choices }) => choices.length > 0);
    return [
      `\t${quoted(command.name)})`,
      ...listed.map(
        ({ name, choices }) => `\t\t[ "$previous" != --${name} ] || choices=${quoted(choices.join(' '))}`,
      ),
      `\t\toptions=${quoted(words(command).join(' '))}`,
      `\t\tvalued=${quoted(` ${values.join(' ')} `)}`,
      `\t\targument=${quoted(command.argument ?? '')}`,
      '\t\t;;',
    ].join('\n');
  });
  const grouped = [...groups(commands)];
  const seconds = grouped
    .filter(([, list]) => list.some(({ name }) => name.includes(' ')))
    .map(
      ([word, list]) =>
        `\t${word}) second=${quoted(list.map(({ name }) => name.split(' ')[1]).join(' '))} ;;`,
    );
  return `# bash completion for ksplice(1), made from its commands
_ksplice()
{
	local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
	local first=\${COMP_WORDS[1]} name second= options= valued= argument= choices=
	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W ${quoted([...grouped.map(([word]) => word), '--help', '--version'].join(' '))} -- "$current")
		return
	fi
	case $first in
${seconds.join('\n')}
	esac
	name=$first
	if [ -n "$second" ]; then
		if [ "$COMP_CWORD" -eq 2 ]; then
			mapfile -t COMPREPLY < <(compgen -W "$second" -- "$current")
			return
		fi
		name="$first \${COMP_WORDS[2]}"
	fi
	case $name in
${cases.join('\n')}
	*)
		return
		;;
	esac
	if [ -n "$choices" ]; then
		mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$current")
	elif [[ $current == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
	elif [[ $valued == *" $previous "* || $argument != ID ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		compopt -o filenames 2>/dev/null
	else
		mapfile -t COMPREPLY < <(compgen -W "$(${LIST_IDS})" -- "$current")
	fi
}
complete -F _ksplice ksplice
`;
}

/** Text between brackets, where zsh counts them and colons. */
const zshText = (text: string): string => text.replaceAll(/[[\]:\\]/g, '\\$&');

const zshArgument = (placeholder: string): string =>
  placeholder === 'ID' ? '*:ID:_ksplice_ids' : `*:${placeholder}:_files`;
const zshOption = ({ name, alias, brief, value, choices }: Option): string => {
  const names = alias === undefined ? `--${name}` : `{-${alias},--${name}}`;
  const values = choices.length === 0 ? '_files' : `(${choices.join(' ')})`;
  const rest = `[${zshText(brief)}]${value === undefined ? '' : `:${value}:${values}`}`;
  return alias === undefined ? quoted(`${names}${rest}`) : `${names}${quoted(rest)}`;
};

export function zshCompletion(commands: readonly CompletedCommand[]): string {
  const grouped = [...groups(commands)];
  const firsts = grouped.map(([word, list]) => {
    const brief =
      list.length === 1 && list[0]?.name === word
        ? list[0].brief
        : list.map(({ name }) => name.split(' ')[1]).join(', ');
    return `\t\t${quoted(`${word}:${brief}`)}`;
  });
  const cases = commands.map(({ name, options, argument: placeholder }) => {
    const specs = [
      ...options.map(zshOption),
      ...(placeholder === undefined ? [] : [quoted(zshArgument(placeholder))]),
    ];
    return `\t${quoted(name)}) _arguments -s ${specs.join(' \\\n\t\t')} ;;`;
  });
  const seconds = grouped
    .filter(([, list]) => list.some(({ name }) => name.includes(' ')))
    .map(
      ([word, list]) =>
        `\t${word}) second=(${list.map(({ name, brief }) => quoted(`${name.split(' ')[1] ?? ''}:${brief}`)).join(' ')}) ;;`,
    );
  return `#compdef ksplice
# zsh completion for ksplice(1), made from its commands
_ksplice_ids() {
	local -a ids
	ids=(\${(f)"$(${LIST_IDS})"})
	_describe 'update' ids
}

_ksplice() {
	local -a first second
	first=(
${firsts.join('\n')}
	)
	if (( CURRENT == 2 )); then
		_describe 'command' first
		return
	fi
	case $words[2] in
${seconds.join('\n')}
	esac
	local name=$words[2]
	if (( $#second )); then
		if (( CURRENT == 3 )); then
			_describe 'command' second
			return
		fi
		name="$words[2] $words[3]"
		shift words
		(( CURRENT-- ))
	fi
	shift words
	(( CURRENT-- ))
	case $name in
${cases.join('\n')}
	esac
}

_ksplice "$@"
`;
}

/** What `-n` asks: whether these words, without flags, are all that is typed, or how it begins. fish's own ask whether a word is there at all. */
const FISH_CONDITIONS = `function __ksplice_words
	string match --invert -- '-*' (commandline --tokenize --cut-at-cursor --current-process)[2..]
end
function __ksplice_is
	set -l words (__ksplice_words)
	test "$argv" = "$words"
end
function __ksplice_begins
	set -l words (__ksplice_words)
	set -l first $words[1..(count $argv)]
	test "$argv" = "$first"
end
`;

function fishOption(condition: string, { name, alias, brief, value, choices }: Option): string {
  const short = alias === undefined ? '' : ` -s ${alias}`;
  const values =
    choices.length > 0 ? ` -x -a ${quoted(choices.join(' '))}` : value === undefined ? '' : ' -r';
  return `complete -c ksplice -n ${quoted(condition)}${short} -l ${name}${values} -d ${quoted(brief)}`;
}

export function fishCompletion(commands: readonly CompletedCommand[]): string {
  const grouped = [...groups(commands)];
  const lines = grouped.flatMap(([word, list]) => {
    const isSingle = list.length === 1 && list[0]?.name === word;
    const brief = isSingle ? (list[0]?.brief ?? '') : list.map(({ name }) => name.split(' ')[1]).join(', ');
    return [
      `complete -c ksplice -n __ksplice_is -f -a ${word} -d ${quoted(brief)}`,
      ...list.flatMap((command) => {
        const [, second] = command.name.split(' ');
        const condition = `__ksplice_begins ${command.name}`;
        const own =
          second === undefined
            ? []
            : [`complete -c ksplice -n '__ksplice_is ${word}' -f -a ${second} -d ${quoted(command.brief)}`];
        const ids =
          command.argument === 'ID'
            ? [`complete -c ksplice -n ${quoted(condition)} -f -a ${quoted(`(${LIST_IDS})`)}`]
            : [];
        return [...own, ...ids, ...command.options.map((option) => fishOption(condition, option))];
      }),
    ];
  });
  return `# fish completion for ksplice(1), made from its commands\n${FISH_CONDITIONS}${lines.join('\n')}\n`;
}
