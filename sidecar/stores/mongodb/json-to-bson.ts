// JSON text to the values of BSON that Dapr makes of it (dapr-state-stores.md 0.2, 12b): objects, arrays, doubles. Gives
// null for a text that BSON would change or cannot hold; the layout then keeps the text.
import { BSON } from "mongodb";
import { JsonFault, JsonScanner } from "#kit/json-scanner.ts";

/** Servers hold a hundred levels, the document's own and those of the command around it included. */
const DEPTH_MAX = 80;
const BACKSLASH = 0x5c;
/** Of a whole number that is a double whatever its digits are, the sign included; and of one of 64 bits at most. */
const SAFE_LENGTH = 15;
const INT64_LENGTH = 20;
const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** The value of one JSON text, with its members in their order; null for one that the layout keeps as text. */
export function toBson(text: Buffer): { readonly value: unknown } | null {
  if (mayHoldHalfCharacter(text)) return null;
  try {
    const scanner = new JsonScanner(text);
    const value = read(scanner, 0);
    return scanner.atEnd() ? { value } : null;
  } catch (error) {
    if (error instanceof Unfit || error instanceof JsonFault) return null;
    throw error;
  }
}

/** Ends the reading of a text that BSON would change. */
class Unfit extends Error {
  override readonly name = "Unfit";
}

function read(scanner: JsonScanner, depth: number): unknown {
  if (depth > DEPTH_MAX) throw new Unfit();
  switch (scanner.kind()) {
    case "object":
      return readObject(scanner, depth);
    case "array": {
      const items: unknown[] = [];
      scanner.array(() => items.push(read(scanner, depth + 1)));
      return items;
    }
    case "string":
      return scanner.string();
    case "number":
      return toNumber(scanner.number());
    case "boolean":
      return scanner.span().length === "true".length;
    case "null":
      scanner.span();
      return null;
  }
}

/** A map, and no object: that would put names which are numbers first, and the encoder takes `_bsontype` for its own. */
function readObject(scanner: JsonScanner, depth: number): ReadonlyMap<string, unknown> {
  const members = new Map<string, unknown>();
  scanner.object((name) => {
    // A name cannot hold a NUL, and cannot stand twice. $ and dots are for operators: older servers refuse them.
    if (members.has(name) || name.includes("\0") || name.includes(".") || name.startsWith("$")) throw new Unfit();
    members.set(name, read(scanner, depth + 1));
  });
  return members;
}

/** A double as Dapr writes it, where that keeps the number; else 64 whole bits. */
function toNumber(text: string): unknown {
  const isWhole = !text.includes(".") && !text.includes("e") && !text.includes("E");
  const double = Number(text);
  if ((isWhole && text.length <= SAFE_LENGTH) || isSame(text, double)) return new BSON.Double(double);
  if (!isWhole || text.length > INT64_LENGTH) throw new Unfit();
  const integer = BigInt(text);
  if (integer < INT64_MIN || integer > INT64_MAX) throw new Unfit();
  return integer;
}

/** Whether the shortest digits of the double are those of the text. */
function isSame(text: string, double: number): boolean {
  if (!Number.isFinite(double)) return false;
  const [ours, printed] = [decimalOf(text), decimalOf(String(double))];
  return ours.digits === printed.digits && ours.power === printed.power;
}

/** A number as a whole one without zeros at its ends, times a power of ten; zero is "" times ten to the zeroth. */
function decimalOf(text: string): { readonly digits: string; readonly power: number } {
  const [mantissa = "", exponent = "0"] = text.toLowerCase().split("e");
  const [integer = "", fraction = ""] = mantissa.replace("-", "").split(".");
  const all = integer + fraction;
  let from = 0;
  let to = all.length;
  while (from < to && all[from] === "0") from++;
  while (to > from && all[to - 1] === "0") to--;
  const digits = all.slice(from, to);
  return { digits, power: digits === "" ? 0 : Number(exponent) - fraction.length + all.length - to };
}

/**
 * Whether a text has an escape of half a character without its other half, which no string of BSON can hold. Also true for
 * some texts with a backslash before such a spelling, which are kept as text for nothing.
 */
function mayHoldHalfCharacter(text: Buffer): boolean {
  for (let at = text.indexOf(BACKSLASH); at >= 0; at = text.indexOf(BACKSLASH, at + 1)) {
    const unit = unitAt(text, at);
    if (!isHigh(unit) && !isLow(unit)) continue;
    if (!isHigh(unit) || !isLow(unitAt(text, at + ESCAPE_LENGTH))) return true;
    at += ESCAPE_LENGTH;
  }
  return false;
}

/** `\u0000` in bytes. */
const ESCAPE_LENGTH = 6;

/** The unit that an escape names; NaN where none of this kind stands. */
function unitAt(text: Buffer, at: number): number {
  const spelled = text.toString("latin1", at, at + ESCAPE_LENGTH);
  return spelled.startsWith("\\u") ? Number.parseInt(spelled.slice(2), 16) : Number.NaN;
}

const isHigh = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;
const isLow = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff;
