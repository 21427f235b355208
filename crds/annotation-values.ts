// How the values of annotations are written that a Component's fields have no like of: quantities, names of Kubernetes,
// lists of variables and of mounts. Knows no annotation.
import { isIP, isIPv6 } from "node:net";
import type { Field } from "./fields.ts";

/** What the decoder needs of a value's kind. */
export type Kind<T> = Pick<Field<T>, "kind" | "fallback" | "doc" | "read">;

interface Common<T> {
  readonly fallback: T;
  readonly doc: string;
}

/** An amount as Kubernetes writes it. */
export interface Quantity {
  /** As it was written. */
  readonly text: string;
  /** In cores or bytes, for comparing. */
  readonly amount: number;
}

// Digits can match in one way only: annotations come from anybody, and two ways take the square of their length.
const QUANTITY = /^(\+?(?:\d+(?:\.\d*)?|\.\d+))(?:([eE][+-]?\d{1,3})|([numkMGTPE]|[KMGTPE]i))?$/;

/** As exponents, so that the digits are rounded once: "1009m" and "1.009" are the same double, 1009 * 0.001 is not. */
const EXPONENT: Readonly<Record<string, string>> = {
  n: "e-9",
  u: "e-6",
  m: "e-3",
  k: "e3",
  M: "e6",
  G: "e9",
  T: "e12",
  P: "e15",
  E: "e18",
};

const SCALE: Readonly<Record<string, number>> = {
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** The amount that a text stands for; null for what is none, is negative or is beyond a double. */
export function readQuantity(text: string): Quantity | null {
  const parts = QUANTITY.exec(text);
  if (parts === null) return null;
  const [, digits = "", exponent = "", suffix = ""] = parts;
  const amount = Number(digits + (EXPONENT[suffix] ?? exponent)) * (SCALE[suffix] ?? 1);
  return Number.isFinite(amount) ? { text, amount } : null;
}

export function quantity(common: Common<null> & { example: string }): Kind<Quantity | null> {
  const want = `an amount of Kubernetes that is not negative, as in "${common.example}"`;
  return {
    ...common,
    kind: "quantity",
    read: (text) => {
      const value = text === "" ? null : readQuantity(text);
      return value === null && text !== "" ? { want } : { value };
    },
  };
}

/** A boolean that may also be left open; the words are Dapr's. */
export function openFlag(common: Common<null>, closed: Kind<boolean>): Kind<boolean | null> {
  return { ...common, kind: "boolean", read: (text) => (text === "" ? { value: null } : closed.read(text)) };
}

// Dots divide labels, and none of them is empty: the API server refuses others without a word of the annotation.
const SUBDOMAIN = /^(?=.{1,253}$)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;

const HOST_NAME = /^(?=.{1,253}\.?$)[a-z0-9_](?:[-a-z0-9_]*[a-z0-9_])?(?:\.[a-z0-9_](?:[-a-z0-9_]*[a-z0-9_])?)*\.?$/i;

/** An IP address, an IPv6 one also in brackets, or a host name; neither has a "$" or a blank in it. */
export function isHost(text: string): boolean {
  if (isIP(text) > 0 || (/^\[.*\]$/.test(text) && isIPv6(text.slice(1, -1)))) return true;
  // Digits behind the last dot mean an address: "127.0.0.256" is a mistyped one.
  return HOST_NAME.test(text) && !/(?:^|\.)\d+\.?$/.test(text);
}

/** The name of an object of Kubernetes. Empty text counts as absent. */
export function objectName(common: Common<null> & { what: string }): Kind<string | null> {
  const want = `the name of ${common.what}: at most 253 of a-z, 0-9, "-" and ".", a letter or digit at both ends`;
  return {
    ...common,
    kind: "name",
    read: (text) => {
      if (text === "") return { value: null };
      return SUBDOMAIN.test(text) ? { value: text } : { want };
    },
  };
}

/** Text of some shape; empty text counts as absent. */
export function shaped(common: Common<null> & { kind: string; shape: RegExp; want: string }): Kind<string | null> {
  const { shape, want, ...rest } = common;
  return {
    ...rest,
    read: (text) => {
      if (text === "") return { value: null };
      return shape.test(text) ? { value: text } : { want };
    },
  };
}

export interface Variable {
  readonly name: string;
  readonly value: string;
}

/** Most entries of one list. */
export const LIST_MAX = 200;

// A comma divides entries only before a NAME= (dapr-kubernetes.md 2.3), so that values may hold commas.
const VARIABLE_COMMA = /,\s*(?=[A-Za-z_][A-Za-z0-9_]*=)/;
const VARIABLE_NAME = /^[-._A-Za-z][-._A-Za-z0-9]*$/;

/** `NAME=value,NAME2=value2`; `reserved` are names that the injector sets itself. */
export function variables(common: { doc: string; reserved: ReadonlySet<string> }): Kind<readonly Variable[]> {
  return {
    kind: "NAME=value list",
    fallback: [],
    doc: common.doc,
    read: (text) => {
      if (text.trim() === "") return { value: [] };
      const value = text
        .trim()
        .split(VARIABLE_COMMA)
        .map((entry) => {
          const equals = entry.indexOf("=");
          return { name: entry.slice(0, Math.max(equals, 0)), value: entry.slice(equals + 1).trimEnd() };
        });
      return listReading(value, "NAME=value,NAME2=value2", (each) => VARIABLE_NAME.test(each.name), common.reserved);
    },
  };
}

const SECRET_KEY = /^(?!\.\.)[-._A-Za-z0-9]{1,253}$/;

export interface SecretVariable {
  readonly name: string;
  readonly secret: string;
  readonly key: string;
}

/** `NAME=secret:key` or `NAME=secret`, where the key is called as the secret; separated by commas. */
export function secretVariables(common: {
  doc: string;
  reserved: ReadonlySet<string>;
}): Kind<readonly SecretVariable[]> {
  return {
    kind: "NAME=secret:key list",
    fallback: [],
    doc: common.doc,
    read: (text) => {
      const value = entriesOf(text).map((entry) => {
        const equals = entry.indexOf("=");
        const [secret = "", key = secret] = splitOnce(entry.slice(equals + 1), ":");
        return { name: entry.slice(0, Math.max(equals, 0)).trim(), secret: secret.trim(), key: key.trim() };
      });
      const isGood = (each: SecretVariable): boolean =>
        VARIABLE_NAME.test(each.name) && SUBDOMAIN.test(each.secret) && SECRET_KEY.test(each.key);
      return listReading(value, "NAME=secret:key,NAME2=secret2", isGood, common.reserved);
    },
  };
}

const LABEL = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

export interface Mount {
  /** Of the volume. */
  readonly name: string;
  readonly path: string;
}

/** `volume:/path,volume2:/path2`. */
export function mounts(common: { doc: string }): Kind<readonly Mount[]> {
  return {
    kind: "volume:/path list",
    fallback: [],
    doc: common.doc,
    read: (text) => {
      const value = entriesOf(text).map((entry) => {
        const [name = "", path = ""] = splitOnce(entry, ":");
        return { name: name.trim(), path: path.trim() };
      });
      const isGood = ({ name, path }: Mount): boolean => LABEL.test(name) && /^\/[^:]*$/.test(path);
      return listReading(value, "volume:/path,volume2:/path2", isGood, new Set());
    },
  };
}

/** Whether Kubernetes takes it for the name of a container or a volume. */
export function isLabelName(text: string): boolean {
  return LABEL.test(text);
}

/** Names of containers, separated by commas; one that is there twice counts once. */
export function labelNames(common: { doc: string }): Kind<readonly string[]> {
  return {
    kind: "name list",
    fallback: [],
    doc: common.doc,
    read: (text) => {
      const entries = entriesOf(text).map((name) => ({ name }));
      const reading = listReading(entries, "name,name2", ({ name }) => LABEL.test(name), new Set());
      return "want" in reading ? reading : { value: [...new Set(reading.value.map(({ name }) => name))] };
    },
  };
}

/** Where sockets are, whose whole path has at most 107 bytes. Empty text is the default. */
export function folder(common: { fallback: string; doc: string }): Kind<string> {
  const want = 'an absolute path of at most 81 characters, without ":" and "$"';
  return {
    ...common,
    kind: "path",
    read: (text) => {
      if (text === "") return { value: common.fallback };
      // No "$": it becomes a variable, where Kubernetes would put the value of another one for "$(NAME)".
      return /^\/[^:$]{1,80}$/.test(text) ? { value: text } : { want };
    },
  };
}

/** A list, or what was wanted of the first entry that is none; the entry is not repeated, it may hold a password. */
function listReading<T extends { readonly name: string }>(
  value: readonly T[],
  form: string,
  isGood: (entry: T) => boolean,
  reserved: ReadonlySet<string>,
): { readonly value: readonly T[] } | { readonly want: string } {
  if (value.length > LIST_MAX) return { want: `at most ${LIST_MAX} entries` };
  const wrong = value.findIndex((entry) => !isGood(entry));
  if (wrong >= 0) return { want: `${form}, which entry ${wrong + 1} is not` };
  const taken = value.find(({ name }) => reserved.has(name));
  return taken === undefined ? { value } : { want: `other names than ${taken.name}, which the injector sets itself` };
}

function entriesOf(text: string): string[] {
  return text.trim() === "" ? [] : text.split(",").map((entry) => entry.trim());
}

function splitOnce(text: string, mark: string): string[] {
  const at = text.indexOf(mark);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + mark.length)];
}
