// The metadata fields of a Component as a table, and the one decoder for all of them: names, aliases, types, defaults.
// Knows no driver and no server: a driver's folder declares its table, the sidecar and `pannier check` decode with it.

import { parseGoDuration } from "#kit/duration.ts";
import { type Fault, hasErrors } from "#kit/fault.ts";
import { nearest } from "#kit/nearest.ts";

/** What a field's text turned into, or what was wanted instead. */
type Reading<T> = { readonly value: T } | { readonly want: string };

export interface Field<T> {
  /** How docs name the type: "text", "whole number", "boolean", "duration", or the allowed words. */
  readonly kind: string;
  readonly fallback: T;
  /** How docs name the default where the fallback does not say it, as "the account's" or "`6379`"; null: the fallback. */
  readonly shownDefault: string | null;
  readonly required: boolean;
  /** Its value never appears in a fault, a log or a status. */
  readonly secret: boolean;
  /** Other names of the same field; compared without regard to case, like the name itself. */
  readonly aliases: readonly string[];
  /** One sentence for the docs table: what it is, its unit, the source of a rule that is not obvious. */
  readonly doc: string;
  /** A field that is accepted and has no effect here says why; null for the fields that work. */
  readonly ignored: string | null;
  readonly read: (text: string) => Reading<T>;
}

/** One field per setting; the setting's name is the field's name in the manifest. */
export type FieldTable<S> = { readonly [K in keyof S]: Field<S[K]> };

interface Common<T> {
  readonly doc: string;
  readonly fallback: T;
  readonly shownDefault?: string;
  readonly required?: boolean;
  readonly secret?: boolean;
  readonly aliases?: readonly string[];
  readonly ignored?: string;
}

function field<T>(kind: string, common: Common<T>, read: (text: string) => Reading<T>): Field<T> {
  return {
    kind,
    fallback: common.fallback,
    shownDefault: common.shownDefault ?? null,
    required: common.required ?? false,
    secret: common.secret ?? false,
    aliases: common.aliases ?? [],
    doc: common.doc,
    ignored: common.ignored ?? null,
    read,
  };
}

/** Any text, taken as it stands. */
export function text<T extends string | null>(common: Common<T>): Field<T | string> {
  return field<T | string>("text", common, (value) => ({ value }));
}

/** Text that matches a pattern; `want` describes it. */
export function pattern<T extends string | null>(
  common: Common<T> & { shape: RegExp; want: string },
): Field<T | string> {
  return field<T | string>("text", common, (value) => (common.shape.test(value) ? { value } : { want: common.want }));
}

/** One of some words. */
export function word<W extends string>(common: Common<W> & { words: readonly W[] }): Field<W> {
  // An empty word is what a field that is not given has too.
  const named = common.words.filter((each) => each !== "");
  const kind = named.map((each) => `"${each}"`).join(" or ");
  return field<W>(kind, common, (value) => {
    const found = common.words.find((each) => each === value);
    return found === undefined ? { want: kind } : { value: found };
  });
}

/** A whole number between two bounds, both included. Empty text counts as absent. */
export function whole<T extends number | null>(common: Common<T> & { min: number; max: number }): Field<T | number> {
  const want = `a whole number from ${common.min} to ${common.max}`;
  return field<T | number>("whole number", common, (value) => {
    if (value === "") return { value: common.fallback };
    const number = /^[+-]?\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
    return number >= common.min && number <= common.max ? { value: number } : { want };
  });
}

const TRUE_WORDS = new Set(["y", "yes", "true", "t", "on", "1"]);
const FALSE_WORDS = new Set(["n", "no", "false", "f", "off", "0", ""]);

/** Whether Dapr takes a word for true; any other is false. */
export function isTruthy(word: string): boolean {
  return TRUE_WORDS.has(word.toLowerCase());
}

/** A boolean as Go's strconv.ParseBool or YAML write it, in any case; empty text is false. */
export function flag(common: Common<boolean>): Field<boolean> {
  return field("boolean", common, (value) => {
    const spelled = value.trim().toLowerCase();
    if (TRUE_WORDS.has(spelled)) return { value: true };
    return FALSE_WORDS.has(spelled) ? { value: false } : { want: 'a boolean ("true" or "false")' };
  });
}

const BARE_UNIT_MS = { milliseconds: 1, seconds: 1000 } as const;

/**
 * A duration in milliseconds: Go's notation ("1m30s"), or a bare whole number in the unit that this store's Dapr
 * driver takes it in (dapr-state-stores.md 0.6: seconds for most, milliseconds for Redis). Empty text counts as absent.
 */
export function duration<T extends number | null>(
  common: Common<T> & { bare: keyof typeof BARE_UNIT_MS; min: number; max: number },
): Field<T | number> {
  const want = `a duration from ${common.min}ms to ${common.max}ms, as in "1m30s" or a number of ${common.bare}`;
  return field<T | number>("duration", common, (value) => {
    if (value === "") return { value: common.fallback };
    const ms = /^-?\d{1,15}$/.test(value) ? Number(value) * BARE_UNIT_MS[common.bare] : parseGoDuration(value);
    return ms !== null && ms >= common.min && ms <= common.max ? { value: ms } : { want };
  });
}

/** Where in a secret store a value stands; a manifest says so in plain text. */
export interface SecretReference {
  /** Of the secret. */
  readonly name: string;
  /** Within the secret. */
  readonly key: string;
}

/** One metadata entry of a Component after its secrets were resolved. */
export interface Property {
  readonly name: string;
  readonly value: string;
  /** The value came out of a secret store or the environment: it is never shown, whatever the table says. */
  readonly secret: boolean;
  /** Present exactly when the value came out of a secret store. */
  readonly secretRef?: SecretReference;
}

export interface Decoded<S> {
  readonly faults: readonly Fault[];
  /** Frozen; null when a fault is an error. */
  readonly settings: Readonly<S> | null;
}

/** What the decoder is told besides the table. */
export interface DecodeOptions {
  /** Names that belong to somebody else (the core's own fields): neither decoded nor warned about. */
  readonly others: readonly string[];
  /** Where the fields are described, for the hint. */
  readonly page: string;
}

/**
 * Decodes a Component's properties by a field table. All faults are collected: a wrong value, a missing required field,
 * a field given twice are errors; an unknown name is a warning that names the nearest known one.
 */
export function decodeFields<S extends object>(
  table: FieldTable<S>,
  properties: readonly Property[],
  options: DecodeOptions,
): Decoded<S> {
  const faults: Fault[] = [];
  const names = Object.keys(table) as (keyof S & string)[];
  const byLowerName = indexNames(table, names);
  const given = new Map<keyof S & string, Property>();
  for (const property of properties) {
    const name = byLowerName.get(property.name.toLowerCase());
    if (name !== undefined && given.has(name)) faults.push(twice(property.name, name));
    else if (name !== undefined) given.set(name, property);
    else if (!isOther(property.name, options.others))
      faults.push(unknown(property.name, [...names, ...options.others], options.page));
  }
  const settings: Partial<S> = {};
  for (const name of names) {
    const outcome = readField(name, table[name], given.get(name), options.page);
    if ("fault" in outcome) faults.push(outcome.fault);
    else settings[name] = outcome.value;
    if (table[name].ignored !== null && given.has(name)) faults.push(withoutEffect(name, table[name].ignored ?? ""));
  }
  return { faults, settings: hasErrors(faults) ? null : Object.freeze(settings as S) };
}

function indexNames<S>(table: FieldTable<S>, names: readonly (keyof S & string)[]): Map<string, keyof S & string> {
  const index = new Map<string, keyof S & string>();
  for (const name of names) {
    for (const spelled of [name, ...table[name].aliases]) index.set(spelled.toLowerCase(), name);
  }
  return index;
}

/** Finds a field of any of the tables by its name or an alias, in any case; the first table that knows the name wins. */
export function fieldFinder(tables: readonly FieldTable<object>[]): (name: string) => Field<unknown> | undefined {
  const found = new Map<string, Field<unknown>>();
  for (const table of tables) {
    for (const [name, field] of Object.entries(table) as [string, Field<unknown>][]) {
      for (const each of [name, ...field.aliases])
        if (!found.has(each.toLowerCase())) found.set(each.toLowerCase(), field);
    }
  }
  return (name) => found.get(name.toLowerCase());
}

function isOther(name: string, others: readonly string[]): boolean {
  const lower = name.toLowerCase();
  return others.some((other) => other.toLowerCase() === lower);
}

function readField<T>(
  name: string,
  field: Field<T>,
  given: Property | undefined,
  page: string,
): { value: T } | { fault: Fault } {
  if (given === undefined || (field.required && given.value === "")) {
    if (!field.required) return { value: field.fallback };
    return {
      fault: { severity: "error", field: name, got: null, want: "a value: the field is required", hint: `see ${page}` },
    };
  }
  const reading = field.read(given.value);
  if ("value" in reading) return { value: reading.value };
  const got = field.secret || given.secret ? null : given.value;
  return { fault: { severity: "error", field: given.name, got, want: reading.want, hint: `see ${page}` } };
}

function twice(name: string, field: string): Fault {
  const want = `the field ${field} once`;
  return {
    severity: "error",
    field: name,
    got: null,
    want,
    hint: "names differ only in case, or one is an alias; remove one",
  };
}

function unknown(name: string, known: readonly string[], page: string): Fault {
  const near = nearest(name, known);
  const hint = near === null ? `it has no effect; see ${page}` : `it has no effect; did you mean ${near}?`;
  return { severity: "warning", field: name, got: null, want: "a field that this store has", hint };
}

function withoutEffect(name: string, why: string): Fault {
  return { severity: "warning", field: name, got: null, want: "nothing: it has no effect here", hint: why };
}
