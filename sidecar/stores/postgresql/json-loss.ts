// What jsonb does not keep of a JSON text, beyond what is equal by JSON's own measure: white space, the order of members
// and all but the last of members with one name (https://www.postgresql.org/docs/current/datatype-json.html).

/**
 * "nul": \u0000, which no text there holds. "surrogate": half a character. "negative-zero": it becomes 0. "exponent": a
 * number is kept and answered with all its digits, so that a short text could become one that is too long to read.
 * "expansion": many exponents do so together.
 */
export type JsonLoss = "nul" | "surrogate" | "negative-zero" | "exponent" | "expansion";

/** Beyond every double. */
export const EXPONENT_MAX = 400;
/** Digits that the exponents of a value may write out, beside one for each character of its text. */
export const EXPANSION_FREE: number = 1024 * 1024;

const QUOTE = 0x22;
const PLUS = 0x2b;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const CAPITAL_E = 0x45;
const BACKSLASH = 0x5c;
const SMALL_E = 0x65;
/** `\u0000` in characters. */
const ESCAPE_LENGTH = 6;

interface Found {
  readonly loss: JsonLoss;
  readonly at: number;
}

/** The first thing in a valid JSON text that jsonb would change or refuse, or null. */
export function lossIn(text: string): JsonLoss | null {
  return findLoss(text, () => false)?.loss ?? null;
}

/** The text as jsonb can hold it, as Dapr would write it: half characters replaced, -0 left for jsonb to change. */
export function withoutSurrogates(text: string): { readonly text: string; readonly left: JsonLoss | null } {
  const places: number[] = [];
  const left = findLoss(text, ({ loss, at }) => {
    if (loss === "surrogate") places.push(at);
    return loss === "surrogate" || loss === "negative-zero";
  });
  let result = "";
  let from = 0;
  for (const at of places) {
    result += `${text.slice(from, at)}\\ufffd`;
    from = at + ESCAPE_LENGTH;
  }
  return { text: result + text.slice(from), left: left?.loss ?? null };
}

type Pass = (found: Found) => boolean;

/** Goes through the text until something is found that `pass` does not let through. Strings are passed over whole. */
function findLoss(text: string, pass: Pass): Found | null {
  let escaped = text.indexOf("\\u");
  let digits = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    let found: Found | null = null;
    if (code === QUOTE) {
      const end = endOfString(text, at);
      if (escaped >= 0 && escaped < end) {
        found = lossInString(text, at, end, pass);
        escaped = text.indexOf("\\u", end);
      }
      if (found !== null) return found;
      at = end;
    } else if (code === MINUS && isNegativeZero(text, at)) found = { loss: "negative-zero", at };
    else if (isLetterE(code)) {
      const exponent = exponentAt(text, at);
      digits += exponent;
      if (exponent > EXPONENT_MAX) found = { loss: "exponent", at };
      else if (digits > text.length + EXPANSION_FREE) found = { loss: "expansion", at };
    }
    if (found !== null && !pass(found)) return found;
  }
  return null;
}

/** Where the closing quote stands of the string that begins at `at`. */
function endOfString(text: string, at: number): number {
  for (let end = text.indexOf('"', at + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return end;
  }
  return text.length;
}

function lossInString(text: string, from: number, end: number, pass: Pass): Found | null {
  let at = text.indexOf("\\", from);
  while (at >= 0 && at < end) {
    const unit = unitAt(text, at);
    const isPair = isHigh(unit) && isLow(unitAt(text, at + ESCAPE_LENGTH));
    const loss = unit === 0 ? "nul" : !isPair && (isHigh(unit) || isLow(unit)) ? "surrogate" : null;
    if (loss !== null && !pass({ loss, at })) return { loss, at };
    const length = unit === null ? 2 : isPair ? 2 * ESCAPE_LENGTH : ESCAPE_LENGTH;
    at = text.indexOf("\\", at + length);
  }
  return null;
}

/** The unit that an escape names; null where none of this kind stands. */
function unitAt(text: string, at: number): number | null {
  return text.startsWith("\\u", at) ? Number.parseInt(text.slice(at + 2, at + ESCAPE_LENGTH), 16) : null;
}

const isHigh = (unit: number | null): boolean => unit !== null && unit >= 0xd800 && unit <= 0xdbff;
const isLow = (unit: number | null): boolean => unit !== null && unit >= 0xdc00 && unit <= 0xdfff;
const isLetterE = (code: number): boolean => code === SMALL_E || code === CAPITAL_E;
const isDigit = (code: number): boolean => code >= ZERO && code <= NINE;

/** Whether the digits behind a minus spell nothing but zeros; an exponent, which may have a minus too, changes nothing. */
function isNegativeZero(text: string, minus: number): boolean {
  if (isLetterE(text.charCodeAt(minus - 1))) return false;
  for (let at = minus + 1; ; at++) {
    const code = text.charCodeAt(at);
    if (code > ZERO && code <= NINE) return false;
    if (code !== ZERO && code !== DOT) return true;
  }
}

/** How far an exponent moves the point, either way. 0 for the letter of "true" and "false", which is behind another one. */
function exponentAt(text: string, at: number): number {
  if (!isDigit(text.charCodeAt(at - 1))) return 0;
  const sign = text.charCodeAt(at + 1);
  let value = 0;
  for (let digit = sign === PLUS || sign === MINUS ? at + 2 : at + 1; isDigit(text.charCodeAt(digit)); digit++) {
    value = value * 10 + text.charCodeAt(digit) - ZERO;
  }
  return value;
}
