// What of a value can stand in a JSON document of the server's module, and how it has to be spelled there. The module reads
// numbers with an error in the last place, unless digits and power of ten are doubles themselves. Knows no server.
import { isUtf8 } from "node:buffer";
import { isJsonText } from "#kit/json-scanner.ts";

/** The module takes 127 levels, of which the document around the value is one; others of its kind take fewer. */
const DEPTH_MAX = 100;
const INT64_MIN = -(2n ** 63n);
const UINT64_MAX = 2n ** 64n - 1n;
const UINT64_END = 2 ** 64;
/** Digits of a whole number that is in range whatever they are. */
const SAFE_DIGITS = 18;
/** Letters of the longest one in range, whatever its sign. */
const WHOLE_MAX = 20;
/** The largest power of ten that a double holds exactly. */
const EXACT_POWER_MAX = 22;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const CLOSINGS = "]}";
const OPENINGS = "[{";
const AFTER_NUMBER = " \t\r\n,]}";

/**
 * The value as it is written into a document: what comes back is equal to `bytes` as JSON. Null for what a document
 * would change or not take: no JSON, more than 100 levels, half a surrogate pair, a number that is neither a whole one
 * of 64 bits nor the shortest spelling of a double, and doubles beyond 10^41 or with more than 22 places after the point.
 * Of doubles that need 16 or 17 digits it is null for about two in a thousand, for want of a spelling.
 */
export function documentText(bytes: Buffer): Buffer | null {
  if (!isUtf8(bytes) || !isJsonText(bytes)) return null;
  // A character for each byte: what is outside ASCII stands in strings only, and passes through.
  const text = bytes.toString("latin1");
  let spelled = "";
  let copied = 0;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const end = endOfString(text, at);
      if (!isWhole(text.slice(at, end + 1))) return null;
      at = end;
    } else if (code === MINUS || isDigit(code)) {
      const end = endOfNumber(text, at);
      const number = numberText(text.slice(at, end));
      if (number === null) return null;
      spelled += text.slice(copied, at) + number;
      copied = end;
      at = end - 1;
    } else if (OPENINGS.includes(text.charAt(at))) {
      if (++depth > DEPTH_MAX) return null;
    } else if (CLOSINGS.includes(text.charAt(at))) depth--;
  }
  return Buffer.from(spelled + text.slice(copied), "latin1");
}

/** Whether a JSON string holds no half of a surrogate pair; only escapes can make one. */
function isWhole(quoted: string): boolean {
  return !quoted.includes("\\u") || String(JSON.parse(quoted)).isWellFormed();
}

/** Where the closing quote stands of the string that begins at `at`. */
function endOfString(text: string, at: number): number {
  let end = at + 1;
  while (text.charCodeAt(end) !== QUOTE) end += text.charCodeAt(end) === BACKSLASH ? 2 : 1;
  return end;
}

function endOfNumber(text: string, at: number): number {
  let end = at + 1;
  while (end < text.length && !AFTER_NUMBER.includes(text.charAt(end))) end++;
  return end;
}

/** A spelling from which the module reads the same number, or null when there is none. */
function numberText(number: string): string | null {
  const decimal = decimalOf(number);
  if (decimal.whole) {
    if (number.length <= SAFE_DIGITS) return number;
    const value = number.length <= WHOLE_MAX ? BigInt(number) : null;
    if (value !== null && value >= INT64_MIN && value <= UINT64_MAX) return number;
  }
  const double = Number(number);
  // The module prints the shortest digits of a double, as JavaScript does.
  const printed = decimalOf(String(double));
  if (printed.digits !== decimal.digits || printed.power !== decimal.power) return null;
  const isExact = decimal.written <= Number.MAX_SAFE_INTEGER && Math.abs(decimal.exponent) <= EXACT_POWER_MAX;
  return isExact ? number : exactText(double);
}

/**
 * Digits and a power of ten that are doubles themselves, and whose product or quotient is `double`: every parser reads
 * that one from them, since IEEE arithmetic rounds once.
 */
function exactText(double: number): string | null {
  for (let power = 0; power <= EXACT_POWER_MAX; power++) {
    const scale = 10 ** power;
    const up = Math.round(double * scale);
    if (Math.abs(up) < UINT64_END && up / scale === double) return `${BigInt(up)}e-${power}`;
    const down = Math.round(double / scale);
    if (Math.abs(down) < UINT64_END && down * scale === double) return `${BigInt(down)}e${power}`;
  }
  return null;
}

interface Decimal {
  /** Without zeros at either end; "" for zero. */
  readonly digits: string;
  /** Of ten, by which the digits are multiplied; 0 for zero. */
  readonly power: number;
  /** All digits as one whole number, zeros included, and the power that goes with it: what a parser has of the text. */
  readonly written: number;
  readonly exponent: number;
  /** Written without a point and without an exponent. */
  readonly whole: boolean;
}

function decimalOf(number: string): Decimal {
  const [mantissa = "", exponent = "0"] = number.toLowerCase().split("e");
  const [integer = "", fraction = ""] = (mantissa.startsWith("-") ? mantissa.slice(1) : mantissa).split(".");
  const all = integer + fraction;
  let from = 0;
  let to = all.length;
  while (from < to && all.charCodeAt(from) === ZERO) from++;
  while (to > from && all.charCodeAt(to - 1) === ZERO) to--;
  const digits = all.slice(from, to);
  const given = Number(exponent) - fraction.length;
  const power = digits === "" ? 0 : given + (all.length - to);
  return { digits, power, written: Number(all), exponent: given, whole: mantissa === number && !number.includes(".") };
}

function isDigit(code: number): boolean {
  return code >= ZERO && code <= NINE;
}
