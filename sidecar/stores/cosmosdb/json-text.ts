// JSON as Cosmos DB keeps it: parsed, with every number a double. What it would keep otherwise than it was sent is found
// here, before it is sent. Knows no document.

/** A text as the server gives it back, or what there is in it that the server cannot keep. */
export type Kept = { readonly json: string } | { readonly problem: string };

export interface KeepOptions {
  /** Take numbers that are rounded to a double, and half surrogate pairs, which become U+FFFD. */
  readonly lossy: boolean;
}

/** Levels of nesting of a document are 128 at most; the document itself is the first. */
export const LEVELS_MAX = 127;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;

/** `text` in the spelling of `JSON.stringify`, in which all that is kept is written: the same text for most clients. */
export function keep(text: string, { lossy }: KeepOptions): Kept {
  if (levelsOf(text) > LEVELS_MAX) return { problem: `more than ${LEVELS_MAX} levels of nesting` };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // What the parser says would show a part of the value.
    return { problem: "what is no JSON" };
  }
  const json = JSON.stringify(value);
  if (json !== text) {
    const fault = numberFault(text);
    if (fault === "beyond" || (fault === "rounded" && !lossy)) return { problem: "a number that is no double" };
  }
  const whole = withoutHalfPairs(json);
  return lossy || whole === json ? { json: whole } : { problem: "half a surrogate pair" };
}

/** How deep a JSON text nests. */
function levelsOf(text: string): number {
  let levels = 0;
  let deepest = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === '"') at = endOfString(text, at);
    else if (character === "[" || character === "{") deepest = Math.max(deepest, ++levels);
    else if (character === "]" || character === "}") levels--;
  }
  return deepest;
}

/** Where the closing quote stands of the string that begins at `at`. */
function endOfString(text: string, at: number): number {
  for (let end = at + 1; end < text.length; end++) {
    const code = text.charCodeAt(end);
    if (code === BACKSLASH) end++;
    else if (code === QUOTE) return end;
  }
  return text.length;
}

/** The worst thing that becomes of a number in a valid JSON text: null when every one stays what it is. */
function numberFault(text: string): "rounded" | "beyond" | null {
  let worst: "rounded" | null = null;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (code === MINUS || (code >= ZERO && code <= NINE)) {
      const end = endOfNumber(text, at);
      const number = text.slice(at, end);
      if (!Number.isFinite(Number(number))) return "beyond";
      if (!isDouble(number)) worst = "rounded";
      at = end - 1;
    }
  }
  return worst;
}

function endOfNumber(text: string, at: number): number {
  let end = at + 1;
  while (end < text.length && !" \t\r\n,]}".includes(text.charAt(end))) end++;
  return end;
}

/** Whether the shortest spelling of the nearest double means the same number. */
function isDouble(number: string): boolean {
  const printed = JSON.stringify(Number(number));
  return printed === number || decimalOf(printed) === decimalOf(number);
}

/** Sign, digits without zeros at either end, and power of ten: equal for equal numbers. Minus zero is not zero. */
function decimalOf(number: string): string {
  const sign = number.startsWith("-") ? "-" : "";
  const [mantissa = "", exponent = "0"] = number.slice(sign.length).toLowerCase().split("e");
  const [integer = "", fraction = ""] = mantissa.split(".");
  const all = integer + fraction;
  let from = 0;
  let to = all.length;
  while (from < to && all.charCodeAt(from) === ZERO) from++;
  while (to > from && all.charCodeAt(to - 1) === ZERO) to--;
  if (from === to) return `${sign}0`;
  return `${sign}${all.slice(from, to)}e${Number(exponent) - fraction.length + (all.length - to)}`;
}

/** JSON.stringify spells every whole pair as it is: an escape that begins with \ud is half of one. */
function withoutHalfPairs(json: string): string {
  let whole = "";
  let from = 0;
  for (let at = json.indexOf("\\"); at >= 0; at = json.indexOf("\\", at + 2)) {
    if (!json.startsWith("\\ud", at)) continue;
    whole += `${json.slice(from, at)}\ufffd`;
    from = at + HALF_PAIR_CHARACTERS;
  }
  return whole + json.slice(from);
}

/** "\ud800" */
const HALF_PAIR_CHARACTERS = 6;
