// The numbers that MySQL's JSON type does not keep. Whole numbers of 64 bits stay whole; every other one becomes a double,
// by a parser that is exact only where the digits and the power of ten are doubles themselves. MariaDB keeps the text.

const QUOTE = 0x22;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const BACKSLASH = 0x5c;

/** Digits of a whole number that is in range whatever they are. */
const SAFE_DIGITS = 18;
const INT64_MIN = -(2n ** 63n);
const UINT64_MAX = 2n ** 64n - 1n;
/** The largest power of ten that a double holds exactly. */
const EXACT_POWER_MAX = 22;

/** Whether the type would give another number back than one of this valid JSON text. */
export function changesNumbers(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (code === MINUS || isDigit(code)) {
      const end = endOfNumber(text, at);
      if (!isKept(text.slice(at, end))) return true;
      at = end - 1;
    }
  }
  return false;
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

function endOfNumber(text: string, at: number): number {
  let end = at + 1;
  while (end < text.length && !" \t\r\n,]}".includes(text.charAt(end))) end++;
  return end;
}

function isKept(number: string): boolean {
  if (number === "-0") return false;
  const decimal = decimalOf(number);
  if (decimal.whole) {
    if (number.length <= SAFE_DIGITS) return true;
    const value = BigInt(number);
    return value >= INT64_MIN && value <= UINT64_MAX;
  }
  if (decimal.digits === "") return !number.startsWith("-");
  const digits = Number(decimal.digits);
  if (digits > Number.MAX_SAFE_INTEGER || Math.abs(decimal.power) > EXACT_POWER_MAX) return false;
  // The server prints the shortest digits of the double, as JavaScript does.
  const printed = decimalOf(String(Number(number)));
  return printed.digits === decimal.digits && printed.power === decimal.power;
}

interface Decimal {
  /** Without zeros at either end; "" for zero. */
  readonly digits: string;
  /** Of ten, by which the digits are multiplied. */
  readonly power: number;
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
  const power = Number(exponent) - fraction.length + (all.length - to);
  const whole = !number.includes(".") && !number.includes("e") && !number.includes("E");
  return { digits: all.slice(from, to), power, whole };
}

function isDigit(code: number): boolean {
  return code >= ZERO && code <= NINE;
}
