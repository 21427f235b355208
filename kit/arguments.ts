// Command-line flags as a table and the one parser for them, by the rules of Go's pflag, which daprd and the Dapr CLI use.
// Knows no flag of its own, prints nothing, ends nothing.
import { parseGoDuration } from "./duration.ts";
import { describeFault } from "./fault.ts";
import { nearest } from "./nearest.ts";

/** What a value's text turned into, or what was wanted instead. */
type Reading<T> = { readonly value: T } | { readonly want: string };

export interface Flag<T> {
  /** False for a boolean: it takes `--name` and `--name=false`, never the next word. */
  readonly takesValue: boolean;
  /** What stands for the value in help, as "PORT"; "" for a boolean. */
  readonly placeholder: string;
  readonly doc: string;
  readonly fallback: T;
  /** The default as help shows it; "" when there is none worth showing. */
  readonly shownDefault: string;
  /** One letter that stands for the name after a single dash, or null. */
  readonly short: string | null;
  /** Other long names of the same flag. */
  readonly aliases: readonly string[];
  /** Reads one occurrence. `before` is what stood there until now: a list adds to it, everything else replaces it. */
  readonly read: (text: string, before: T) => Reading<T>;
}

/** One flag per value; the value's name is the flag's long name. */
export type FlagTable<S> = { readonly [K in keyof S]: Flag<S[K]> };

/** A flag that is taken so that a start script keeps working, and that changes nothing. */
export interface IgnoredFlag {
  readonly takesValue: boolean;
  readonly short: string | null;
}

export interface Grammar<S> {
  readonly flags: FlagTable<S>;
  readonly ignored: Readonly<Record<string, IgnoredFlag>>;
  /** True: the first word that is no flag ends the flags, and all that follows is left as it stands. */
  readonly stopAtWord: boolean;
}

export interface Parsed<S> {
  readonly values: S;
  /** Which flags of the table were on the command line. */
  readonly given: ReadonlySet<keyof S & string>;
  /** Ignored flags that asked for something, each once, without dashes; `--name=false` and `--name=""` ask for nothing. */
  readonly ignored: readonly string[];
  /** What is no flag, in its order. */
  readonly words: readonly string[];
}

interface Declared {
  readonly takesValue?: boolean;
  readonly placeholder?: string;
  readonly doc: string;
  readonly shownDefault?: string;
  readonly short?: string;
  readonly aliases?: readonly string[];
}

function flag<T>(declared: Declared, fallback: T, read: (text: string, before: T) => Reading<T>): Flag<T> {
  return {
    takesValue: declared.takesValue ?? true,
    placeholder: declared.placeholder ?? "",
    doc: declared.doc,
    fallback,
    shownDefault: declared.shownDefault ?? "",
    short: declared.short ?? null,
    aliases: declared.aliases ?? [],
    read,
  };
}

/** Any text as it stands. */
export function textFlag(declared: Declared & { fallback: string }): Flag<string> {
  return flag({ shownDefault: declared.fallback, ...declared }, declared.fallback, (text) => ({ value: text }));
}

const TRUE_WORDS = new Set(["1", "t", "T", "true", "TRUE", "True"]);
const FALSE_WORDS = new Set(["0", "f", "F", "false", "FALSE", "False"]);

/** A boolean as Go's strconv.ParseBool reads it; without a value it is true. */
export function booleanFlag<T extends boolean | null>(declared: Declared & { fallback: T }): Flag<T | boolean> {
  const shownDefault = declared.fallback === true ? "true" : "";
  return flag<T | boolean>({ shownDefault, ...declared, takesValue: false }, declared.fallback, (text) => {
    if (TRUE_WORDS.has(text)) return { value: true };
    return FALSE_WORDS.has(text) ? { value: false } : { want: "true or false" };
  });
}

/** One of some words, in any case; `spellings` maps other spellings onto them. */
export function wordFlag<W extends string>(
  declared: Declared & { fallback: W; words: readonly W[]; spellings?: Readonly<Record<string, W>> },
): Flag<W> {
  const want = declared.words.join(", ").replace(/, ([^,]*)$/, " or $1");
  const spellings = new Map(Object.entries<W>(declared.spellings ?? {}));
  return flag<W>({ shownDefault: declared.fallback, ...declared }, declared.fallback, (text) => {
    const lower = text.toLowerCase();
    const word = declared.words.find((each) => each === lower) ?? spellings.get(lower);
    return word === undefined ? { want } : { value: word };
  });
}

/** A whole number between two bounds, both included. */
export function wholeFlag<T extends number | null>(
  declared: Declared & { fallback: T; min: number; max: number },
): Flag<T | number> {
  const want = `a whole number from ${declared.min} to ${declared.max}`;
  const shownDefault = declared.fallback === null ? "" : String(declared.fallback);
  return flag<T | number>({ shownDefault, ...declared }, declared.fallback, (text) => {
    const number = /^[+-]?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    return number >= declared.min && number <= declared.max ? { value: number } : { want };
  });
}

/** A duration in milliseconds: Go's notation, or a bare number of seconds. */
export function durationFlag(declared: Declared & { fallback: number; max: number }): Flag<number> {
  const want = `a duration as in "1m30s", from 0s to ${declared.max / 1000}s`;
  return flag<number>(declared, declared.fallback, (text) => {
    const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : parseGoDuration(text);
    return ms !== null && ms >= 0 && ms <= declared.max ? { value: ms } : { want };
  });
}

/** Bytes as Kubernetes writes quantities: "4Mi", "1.5Ki", "4194304", "-1". */
export function bytesFlag<T extends number | null>(declared: Declared & { fallback: T }): Flag<T | number> {
  const want = 'a size in whole bytes, as in "4Mi", "500k" or "4194304"';
  return flag<T | number>(declared, declared.fallback, (text) => {
    const bytes = parseQuantity(text);
    return bytes === null ? { want } : { value: bytes };
  });
}

const SUFFIX: Readonly<Record<string, number>> = {
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
};

/** The whole number that a Kubernetes quantity stands for, or null when it is none or beyond 2^53. */
export function parseQuantity(text: string): number | null {
  const parts = /^([+-]?(?:\d+(?:\.\d*)?|\.\d+))([eE][+-]?\d{1,3})?([A-Za-z]{0,2})$/.exec(text);
  if (parts === null) return null;
  const [, digits = "", exponent = "", suffix = ""] = parts;
  const scale = SUFFIX[suffix];
  if (scale === undefined || (exponent !== "" && suffix !== "")) return null;
  const value = Number(digits + exponent) * scale;
  return Number.isSafeInteger(value) ? value : null;
}

/** Texts separated by commas; each occurrence replaces the one before, as with a plain string flag. */
export function commaFlag(declared: Declared): Flag<readonly string[]> {
  return flag<readonly string[]>(declared, [], (text) => ({ value: splitCommas(text) }));
}

/** Texts that collect: the flag may be repeated, and each occurrence may hold several, separated by commas. */
export function listFlag(declared: Declared): Flag<readonly string[]> {
  return flag<readonly string[]>(declared, [], (text, before) => ({ value: [...before, ...splitCommas(text)] }));
}

/** Parts between commas, trimmed, empty ones left out; a part in double quotes keeps its commas, as CSV has it. */
function splitCommas(text: string): string[] {
  const parts = text.match(/"(?:[^"]|"")*"|[^,]+/g) ?? [];
  const bare = parts.map((part) =>
    part.length > 1 && part.startsWith('"') && part.endsWith('"')
      ? part.slice(1, -1).replaceAll('""', '"')
      : part.trim(),
  );
  return bare.filter((part) => part !== "");
}

/** One occurrence of a flag on the command line, taken apart. */
interface Occurrence {
  readonly name: string;
  readonly takesValue: boolean;
  /** What stands behind "=" or directly behind a short name; null when nothing does. */
  readonly inline: string | null;
}

/**
 * Parses a command line without the program's name: `--name=value`, `--name value`, the same with one dash, `--name` and
 * `--name=false` for booleans, `-p 80`, `-p80` and `-p=80` for short names. A value is taken whatever it begins with.
 * The last of a repeated flag wins, lists collect, `--` ends the flags. Gives an error fit to print for the first fault.
 */
export function parseArguments<S extends object>(
  grammar: Grammar<S>,
  argv: readonly string[],
): Parsed<S> | { readonly error: string } {
  const values = defaultsOf(grammar.flags);
  const given = new Set<keyof S & string>();
  const ignored = new Set<string>();
  const words: string[] = [];
  for (let index = 0; index < argv.length; index++) {
    const argument = argv[index] ?? "";
    if (argument === "--") {
      words.push(...argv.slice(index + 1));
      break;
    }
    if (!argument.startsWith("-") || argument === "-") {
      if (grammar.stopAtWord) return { values, given, ignored: [...ignored], words: argv.slice(index) };
      words.push(argument);
      continue;
    }
    const found = takeApart(grammar, argument);
    if ("error" in found) return found;
    if (found.inline === null && found.takesValue) index++;
    const text = found.inline ?? (found.takesValue ? argv[index] : "true");
    if (text === undefined) return { error: `--${found.name}: got nothing, want a value` };
    const fault = take(grammar, found, text, { values, given, ignored });
    if (fault !== null) return { error: fault };
  }
  return { values, given, ignored: [...ignored], words };
}

function defaultsOf<S extends object>(flags: FlagTable<S>): S {
  const values: Partial<S> = {};
  for (const name of Object.keys(flags) as (keyof S & string)[]) values[name] = flags[name].fallback;
  return values as S;
}

interface Taken<S> {
  readonly values: S;
  readonly given: Set<keyof S & string>;
  readonly ignored: Set<string>;
}

/** Puts one occurrence where it belongs. Gives the fault in its value, or null. */
function take<S extends object>(grammar: Grammar<S>, found: Occurrence, text: string, into: Taken<S>): string | null {
  if (!Object.hasOwn(grammar.flags, found.name)) {
    if (!found.takesValue && !TRUE_WORDS.has(text) && !FALSE_WORDS.has(text))
      return wrongValue(found.name, text, "true or false");
    const asksForSomething = found.takesValue ? text !== "" : TRUE_WORDS.has(text);
    if (asksForSomething) into.ignored.add(found.name);
    return null;
  }
  const name = found.name as keyof S & string;
  const reading = grammar.flags[name].read(text, into.values[name]);
  if ("want" in reading) return wrongValue(name, text, reading.want);
  into.values[name] = reading.value;
  into.given.add(name);
  return null;
}

function wrongValue(name: string, got: string, want: string): string {
  return describeFault({ severity: "error", field: `--${name}`, got, want, hint: null });
}

function takeApart<S>(grammar: Grammar<S>, argument: string): Occurrence | { readonly error: string } {
  const body = argument.slice(argument.startsWith("--") ? 2 : 1);
  const equals = body.indexOf("=");
  const written = equals === -1 ? body : body.slice(0, equals);
  const long = findLong(grammar, written);
  if (long !== null) return { ...long, inline: equals === -1 ? null : body.slice(equals + 1) };
  const near = nearest(
    written,
    allFlags(grammar).map(([name]) => name),
  );
  // "-app-prt" is a mistyped --app-port and not -a with the value "pp-prt": they begin with the same two letters.
  const mistyped = near?.startsWith(body.slice(0, 2)) === true;
  const short = argument.startsWith("--") || (mistyped && body.length > 2) ? null : findShort(grammar, body);
  if (short !== null) return short;
  const hint = near === null ? "" : `; did you mean --${near}?`;
  return { error: `unknown flag ${argument.startsWith("--") ? "--" : "-"}${written}${hint}` };
}

/** What the search for a name needs of a flag, whichever table it stands in. */
type Named = IgnoredFlag & { readonly aliases?: readonly string[] };

function allFlags<S>(grammar: Grammar<S>): [string, Named][] {
  return Object.entries<Named>({ ...grammar.ignored, ...(grammar.flags as Readonly<Record<string, Named>>) });
}

function findLong<S>(grammar: Grammar<S>, written: string): Omit<Occurrence, "inline"> | null {
  const found = allFlags(grammar).find(([name, each]) => name === written || each.aliases?.includes(written));
  return found === undefined ? null : { name: found[0], takesValue: found[1].takesValue };
}

/** `-p`, `-p80`, `-p=80`; a boolean stands alone or with "=". */
function findShort<S>(grammar: Grammar<S>, body: string): Occurrence | null {
  const found = allFlags(grammar).find(([, each]) => each.short !== null && each.short === body[0]);
  if (found === undefined) return null;
  const [name, { takesValue }] = found;
  if (body.length === 1) return { name, takesValue, inline: null };
  if (body[1] === "=") return { name, takesValue, inline: body.slice(2) };
  return takesValue ? { name, takesValue, inline: body.slice(1) } : null;
}
