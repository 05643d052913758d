/**
 * What of a unit's preprocessed text its object is made of.
 *
 * A header that is fixed is read by hundreds of units, most of which do not use what the fix changes: their text
 * differs, their object cannot. Compiling them all to see that takes hours. Here the text is cut into its
 * declarations at file level, and those are left out that nothing reaches: a declaration that by itself makes no
 * code or data (a type, a prototype, an `extern`, a `static` function) is kept only if one that is kept
 * mentions a name that it introduces. If what is kept is the same before and after a patch, the two
 * programs are the same, and the object that the kernel has is an object of the patched source too.
 *
 * It leans to keeping. A name counts as mentioned wherever it stands, as member or parameter too, and inside of
 * string literals (asm, alias). What is not plainly one of those kinds is kept: definitions of objects, other
 * functions, file-level asm, pragmas, whatever has an attribute by which a compiler keeps the unused. Keeping too much costs a compilation.
 *
 * This is the argument by which a C compiler drops unused static functions, made on text. It needs a compiler that
 * does so: not -O0, -fkeep-inline-functions and the like (`dropsUnused`).
 */

/** Tokens of one declaration at file level, separated by a space. */
interface Declaration {
  readonly text: string;
  readonly names: readonly string[];
  /** Names that it introduces; undefined if it is kept in any case. */
  readonly introduces: readonly string[] | undefined;
}

/** The declarations that matter, in order, one a line. */
export function liveText(preprocessed: string): string {
  const declarations = cut(preprocessed);
  const introducedBy = new Map<string, number[]>();
  const isLive = declarations.map(({ introduces }) => introduces === undefined);
  declarations.forEach(({ introduces }, index) => {
    for (const name of introduces ?? []) {
      const list = introducedBy.get(name);
      if (list === undefined) introducedBy.set(name, [index]);
      else list.push(index);
    }
  });
  const queue = declarations.flatMap((_, index) => (isLive[index] === true ? [index] : []));
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    for (const name of declarations[at]?.names ?? []) {
      const reached = introducedBy.get(name);
      if (reached === undefined) continue;
      introducedBy.delete(name);
      for (const index of reached) {
        if (isLive[index] === true) continue;
        isLive[index] = true;
        queue.push(index);
      }
    }
  }
  return declarations.flatMap(({ text }, index) => (isLive[index] === true ? [text] : [])).join('\n');
}

/** Whether the compiler, called so, leaves out static functions that nothing refers to. */
export function dropsUnused(compiler: readonly string[]): boolean {
  const level = compiler.filter((word) => word.startsWith('-O')).at(-1);
  return (
    level !== undefined &&
    /^-O[123s]$/.test(level) &&
    !compiler.some((word) => /^-fkeep-|^-fno-toplevel-reorder$|^-fno-unit-at-a-time$/.test(word))
  );
}

const token =
  /[A-Za-z_$][\w$]*|\.?\d(?:[eEpP][+-]|[\w.])*|(?:u8|[uUL])?"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|^[ \t]*#.*$|\.\.\.|[^\s]/gm;

const isName = /^[A-Za-z_$]/;

const keyword =
  /^(?:typedef|struct|union|enum|void|char|short|int|long|float|double|signed|unsigned|const|volatile|_Bool|__signed__)$/;

function cut(text: string): readonly Declaration[] {
  const declarations: Declaration[] = [];
  let words: string[] = [];
  let depth = 0;
  const end = (): void => {
    if (words.length > 0) declarations.push(declare(words));
    words = [];
  };
  for (const [raw] of text.matchAll(token)) {
    if (/^[ \t]*#/.test(raw)) {
      // A pragma inside a function stays in it, one at file level stands for itself.
      if (depth === 0) end();
      words.push(raw.trim());
      if (depth === 0) end();
      continue;
    }
    words.push(raw);
    if (raw === '{' || raw === '(' || raw === '[') depth += 1;
    else if (raw === '}' || raw === ')' || raw === ']') {
      depth -= 1;
      if (depth === 0 && raw === '}' && isFunction(words)) end();
    } else if (raw === ';' && depth === 0) end();
  }
  end();
  return declarations;
}

/** A `}` ends a function, unless it is that of a type or of an initial value. */
function isFunction(words: readonly string[]): boolean {
  const open = outerOpen(words);
  const before = words[open - 1];
  if (before === undefined || before === '=') return false;
  const head = outside(words.slice(0, open));
  return !head.includes('=') && (head.includes('(') || !head.some((word) => typeWords.has(word)));
}

const typeWords = new Set(['struct', 'union', 'enum']);

function outerOpen(words: readonly string[]): number {
  let depth = 0;
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    if (word === '{' && depth === 0) return i;
    if (word === '(' || word === '[' || word === '{') depth += 1;
    else if (word === ')' || word === ']' || word === '}') depth -= 1;
  }
  return words.length;
}

/** Words that are followed by something in parentheses that is no parameter list. */
const parenthesised = new Set([
  '__attribute__',
  '__attribute',
  '__asm__',
  '__asm',
  'asm',
  'typeof',
  '__typeof__',
  '__typeof',
  '_Alignas',
  '__alignof__',
  '__extension__',
]);

/**
 * The words outside of attributes, and outside of braces and brackets; parentheses are left as `( )`.
 * A word of `parenthesised` disappears together with its parentheses.
 */
function outside(words: readonly string[]): readonly string[] {
  const kept: string[] = [];
  let depth = 0;
  let isSkipping = false;
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? '';
    if (depth === 0 && parenthesised.has(word)) {
      isSkipping = words[i + 1] === '(';
      continue;
    }
    const opens = word === '(' || word === '[' || word === '{';
    const closes = word === ')' || word === ']' || word === '}';
    if (closes) depth -= 1;
    if (depth === 0 && !isSkipping) kept.push(word);
    if (closes && depth === 0) isSkipping = false;
    if (opens) depth += 1;
  }
  return kept;
}

/** Attributes by which an unreferenced definition stays, or two names are one. */
const keeping =
  /^_*(?:used|constructor|destructor|alias|weakref|ifunc|symver|retain|externally_visible|no_reorder|cleanup)_*$/;

function declare(words: readonly string[]): Declaration {
  const names = new Set<string>();
  for (const word of words) {
    if (isName.test(word) && !word.endsWith('"')) names.add(word);
    else if (word.endsWith('"')) for (const [inner] of word.matchAll(/[A-Za-z_$][\w$]*/g)) names.add(inner);
  }
  return { text: words.join(' '), names: [...names], introduces: introducedNames(words) };
}

function introducedNames(words: readonly string[]): readonly string[] | undefined {
  const first = words[0] ?? '';
  if (first.startsWith('#') || first === ';') return undefined;
  if (first.startsWith('__asm') || first === 'asm') return undefined;
  const open = outerOpen(words);
  const isDefinition = words.at(-1) === '}' && isFunction(words);
  const head = isDefinition ? outside(words.slice(0, open)) : outside(words);
  if (first === '_Static_assert' || head[0] === '_Static_assert') return undefined;
  if (isDefinition) {
    if (!head.includes('static') || hasKeeping(words.slice(0, open))) return undefined;
    return functionNames(head);
  }
  if (words.at(-1) !== ';' || hasKeeping(words)) return undefined;
  const isType = head.includes('typedef') || (typeWords.has(firstTypeWord(head)) && isOnlyType(head));
  if (isType) return typeNames(words, head.includes('typedef'));
  const isDeclaration = head.includes('extern') && !head.includes('=');
  const isPrototype = isPrototypeHead(head);
  return isDeclaration || isPrototype ? declaredNames(words, head) : undefined;
}

function hasKeeping(words: readonly string[]): boolean {
  return words.some((word) => keeping.test(word));
}

function firstTypeWord(head: readonly string[]): string {
  return head.find((word) => typeWords.has(word)) ?? '';
}

/** `struct x { ... } ;`, `enum { ... } ;`, `struct x ;`: no declarator. */
function isOnlyType(head: readonly string[]): boolean {
  const at = head.findIndex((word) => typeWords.has(word));
  const rest = head.slice(at + 1).filter((word) => word !== '{' && word !== '}');
  return (
    at === 0 &&
    (rest.length === 1 || (rest.length === 2 && isName.test(rest[0] ?? ''))) &&
    rest.at(-1) === ';'
  );
}

/** `int f ( ) ;`, also with a second declarator; no object is declared, and none has an initial value. */
function isPrototypeHead(head: readonly string[]): boolean {
  if (head.includes('=') || head.includes(',') || head.includes('[') || head.includes('{')) return false;
  const at = head.indexOf('(');
  return (
    at > 0 &&
    head[at + 1] === ')' &&
    head[at + 2] === ';' &&
    head.length === at + 3 &&
    isName.test(head[at - 1] ?? '') &&
    !typeWords.has(head[at - 2] ?? '')
  );
}

/** The name before the parameters; none where the declarator is in parentheses. */
function functionNames(head: readonly string[]): readonly string[] | undefined {
  const at = head.indexOf('(');
  const name = head[at - 1];
  if (at < 1 || name === undefined || !isName.test(name) || head.indexOf('(', at + 1) >= 0) return undefined;
  return typeWords.has(head[at - 2] ?? '') ? undefined : [name];
}

/**
 * Names by which a type can be reached: tags that are defined, enumerators, and what a typedef declares.
 * Members are none: who uses one has an expression of the type, and that comes from a declaration with its name.
 */
function typeNames(words: readonly string[], isTypedef: boolean): readonly string[] {
  const introduced = new Set<string>();
  let braces = 0;
  words.forEach((word, i) => {
    if (word === '{') braces += 1;
    else if (word === '}') braces -= 1;
    if (!isName.test(word) || word.endsWith('"') || keyword.test(word)) return;
    const previous = words[i - 1] ?? '';
    const next = words[i + 1] ?? '';
    const isEnumerator =
      (previous === '{' || previous === ',') && (/^[,}=]$/.test(next) || next.startsWith('__attribute'));
    if (next === '{' || isEnumerator || (braces === 0 && (isTypedef || next === ';'))) introduced.add(word);
  });
  return [...introduced];
}

/**
 * Of `extern struct x a , b [ ] ;` and `int f ( ) ;`: the names that are declared. Undefined for a declarator that is
 * not plain: `int ( * p ) ( )`, `int ( x )`.
 */
function declaredNames(words: readonly string[], head: readonly string[]): readonly string[] | undefined {
  if (words.includes('{') || head.filter((word) => word === '(').length > 1) return undefined;
  const inner = words[words.indexOf('(') + 1] ?? '';
  if (head.includes('(') && !isParameterList(words, head)) return undefined;
  const names = head.filter((word, i) => isName.test(word) && /^[(;,[]$/.test(head[i + 1] ?? ''));
  return names.length === 0 || inner === '*' ? undefined : names;
}

/** What stands in the parentheses after the name is `void`, nothing, or more than one name. */
function isParameterList(words: readonly string[], head: readonly string[]): boolean {
  const name = head[head.indexOf('(') - 1] ?? '';
  const at = words.findIndex((word, i) => word === name && words[i + 1] === '(');
  const [first = '', second = ''] = words.slice(at + 2, at + 4);
  return at >= 0 && (first === ')' || first === 'void' || (isName.test(first) && second !== ')'));
}
