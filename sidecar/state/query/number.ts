// Numbers of JSON as they are written, compared by their exact value: a double would take 9007199254740993 for its
// neighbour. Knows no query.

/**
 * A number by its text. Two texts of one value ("1", "1.0", "10e-1") compare as equal. A text can be megabytes long and
 * meet a thousand others, so it is taken apart once at most.
 */
export class JsonNumber {
  readonly text: string;
  /** The value where a double tells all texts of this length apart, else null. */
  readonly #quick: number | null;
  #decimal: Decimal | null = null;
  #canonical: string | null = null;

  /** `text` must be a number of JSON. */
  constructor(text: string) {
    this.text = text;
    this.#quick = text.length <= QUICK_LENGTH_MAX && !hasExponent(text) ? Number(text) : null;
  }

  /** One text for all spellings of one value, and another for every other value. */
  get canonical(): string {
    this.#canonical ??= spelled(this.#parts);
    return this.#canonical;
  }

  /** Below 0, 0 or above 0. */
  compare(other: JsonNumber): number {
    if (this.#quick !== null && other.#quick !== null) return this.#quick - other.#quick;
    return compareDecimals(this.#parts, other.#parts);
  }

  /** The same number, or one near it with at most so many digits: the order of any two never turns round. */
  shortened(digitsMax: number): JsonNumber {
    if (this.text.length <= digitsMax) return this;
    const { negative, digits, point } = this.#parts;
    return new JsonNumber(spelled({ negative, digits: digits.slice(0, digitsMax), point }));
  }

  get #parts(): Decimal {
    this.#decimal ??= toDecimal(this.text);
    return this.#decimal;
  }
}

/** Decimal texts with up to this many digits survive the way through a double. */
const QUICK_LENGTH_MAX = 15;
/** Exponents beyond it count as it: no number with one has ever been stored for what it says. */
const EXPONENT_MAX = Number.MAX_SAFE_INTEGER;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** Characters of a string that may spell a number. A number of JSON itself has no such limit. */
export const SPELLED_LENGTH_MAX = 4096;

/** The number that `text` spells as JSON does, or null; a text of more than {@link SPELLED_LENGTH_MAX} spells none. */
export function spelledNumber(text: string): JsonNumber | null {
  return text.length <= SPELLED_LENGTH_MAX && NUMBER.test(text) ? new JsonNumber(text) : null;
}

function hasExponent(text: string): boolean {
  return text.includes("e") || text.includes("E");
}

/** The value is 0.DIGITS times ten to the power of `point`. */
interface Decimal {
  readonly negative: boolean;
  /** Without zeros at either end; "" for zero. */
  readonly digits: string;
  readonly point: number;
}

function spelled({ negative, digits, point }: Decimal): string {
  return digits === "" ? "0" : `${negative ? "-" : ""}0.${digits}e${point}`;
}

function toDecimal(text: string): Decimal {
  const negative = text.startsWith("-");
  const body = negative ? text.slice(1) : text;
  const mark = Math.max(body.indexOf("e"), body.indexOf("E"));
  const mantissa = mark < 0 ? body : body.slice(0, mark);
  const exponent = mark < 0 ? 0 : Number(body.slice(mark + 1));
  const dot = mantissa.indexOf(".");
  const whole = dot < 0 ? mantissa : mantissa.slice(0, dot);
  const digits = dot < 0 ? mantissa : whole + mantissa.slice(dot + 1);
  let start = 0;
  let end = digits.length;
  while (start < end && digits[start] === "0") start++;
  while (end > start && digits[end - 1] === "0") end--;
  const point = Math.max(-EXPONENT_MAX, Math.min(EXPONENT_MAX, whole.length - start + exponent));
  return { negative, digits: digits.slice(start, end), point };
}

function compareDecimals(left: Decimal, right: Decimal): number {
  const leftSign = signOf(left);
  const rightSign = signOf(right);
  if (leftSign !== rightSign || leftSign === 0) return leftSign - rightSign;
  return leftSign * compareMagnitudes(left, right);
}

function signOf({ negative, digits }: Decimal): number {
  if (digits === "") return 0;
  return negative ? -1 : 1;
}

function compareMagnitudes(left: Decimal, right: Decimal): number {
  if (left.point !== right.point) return left.point - right.point;
  if (left.digits === right.digits) return 0;
  // Both begin behind the point, so the digits compare as texts do.
  return left.digits < right.digits ? -1 : 1;
}
