// What a plain (unquoted) scalar of YAML means to the reader that Dapr loads its manifests with: sigs.k8s.io/yaml over
// go-yaml v2, which is YAML 1.1 without base 60, and leaves dates as text. Knows no document.

/** A JSON value; a bigint stands for a whole number that a double cannot hold. */
export type ScalarValue = string | number | bigint | boolean | null;

export type PlainScalar = { readonly merge: true } | { readonly merge: false; readonly value: ScalarValue };

const TRUE_WORDS = ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"];
const FALSE_WORDS = ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"];
const NULL_WORDS = ["", "~", "null", "Null", "NULL"];

const WORDS: ReadonlyMap<string, ScalarValue> = new Map<string, ScalarValue>([
  ...TRUE_WORDS.map((word) => [word, true] as const),
  ...FALSE_WORDS.map((word) => [word, false] as const),
  ...NULL_WORDS.map((word) => [word, null] as const),
  ...[".nan", ".NaN", ".NAN"].map((word) => [word, Number.NaN] as const),
  ...[".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"].map((word) => [word, Number.POSITIVE_INFINITY] as const),
  ...["-.inf", "-.Inf", "-.INF"].map((word) => [word, Number.NEGATIVE_INFINITY] as const),
]);

const WHOLE = /^([+-]?)(?:0b([01]+)|0x([0-9a-f]+)|0o?([0-7]+)|(0|[1-9]\d*))$/i;
const FLOAT = /^[+-]?(?:\.\d+|\d+(?:\.\d*)?)(?:e[+-]?\d+)?$/i;

/** The value of a plain scalar without a tag. Infinities and NaN come back as such: JSON has no word for them. */
export function readPlain(text: string): PlainScalar {
  if (text === "<<") return { merge: true };
  const word = WORDS.get(text);
  return { merge: false, value: word === undefined ? readNumber(text) : word };
}

function readNumber(text: string): ScalarValue {
  // Underscores are dropped from what begins with a digit or a sign, not from ".5_0".
  const digits = text.startsWith(".") ? text : text.replaceAll("_", "");
  const whole = WHOLE.exec(digits);
  if (whole !== null && /^[+-]?\d/.test(text)) return readWhole(whole);
  if (!FLOAT.test(digits) || text.startsWith("_")) return text;
  const number = Number(digits);
  return Number.isFinite(number) ? number : text;
}

function readWhole(parts: RegExpExecArray): number | bigint {
  const [, sign, binary, hexadecimal, octal, decimal] = parts;
  let size = BigInt(decimal ?? 0);
  if (binary !== undefined) size = BigInt(`0b${binary}`);
  else if (hexadecimal !== undefined) size = BigInt(`0x${hexadecimal}`);
  else if (octal !== undefined) size = BigInt(`0o${octal}`);
  const value = sign === "-" ? -size : size;
  const rounded = Number(value);
  return Number.isSafeInteger(rounded) ? rounded : value;
}
