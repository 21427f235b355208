// The operands that a value may be equal to: one, or the up to 1000 of an IN. A value is looked up once and not compared
// with each, since both can be long. Rules of equality: docs/query.md.
import { JsonNumber, spelledNumber } from "./number.ts";
import { COMPOUND, type Operand, type Scalar } from "./scalar.ts";

export class OperandSet {
  readonly #strings = new Set<string>();
  /** By their canonical text. */
  readonly #numbers = new Set<string>();
  readonly #literals = new Set<boolean | null>();
  /** Numbers that the strings spell, by their canonical text; only where strings are compared loosely. */
  readonly #spelled = new Set<string>();
  readonly #loose: boolean;

  /** `loose`: a string is also equal to the number or boolean that it spells (`Traits.queryStrings`). */
  constructor(operands: readonly Operand[], loose: boolean) {
    this.#loose = loose;
    for (const operand of operands) {
      if (typeof operand === "string") this.#addString(operand);
      else if (operand instanceof JsonNumber) this.#numbers.add(operand.canonical);
      else this.#literals.add(operand);
    }
  }

  /** Whether one of the operands is equal to `value`: strings by their characters, numbers by their value. */
  has(value: Scalar): boolean {
    if (value === COMPOUND || value === undefined) return false;
    if (typeof value === "string") return this.#strings.has(value) || (this.#loose && this.#hasSpelledBy(value));
    if (value instanceof JsonNumber) return this.#hasNumber(value);
    if (this.#literals.has(value)) return true;
    return this.#loose && value !== null && this.#strings.has(String(value));
  }

  #addString(text: string): void {
    this.#strings.add(text);
    const number = this.#loose ? spelledNumber(text) : null;
    if (number !== null) this.#spelled.add(number.canonical);
  }

  #hasNumber(value: JsonNumber): boolean {
    if (this.#numbers.size === 0 && this.#spelled.size === 0) return false;
    return this.#numbers.has(value.canonical) || this.#spelled.has(value.canonical);
  }

  #hasSpelledBy(text: string): boolean {
    if (text === "true" || text === "false") return this.#literals.has(text === "true");
    const number = this.#numbers.size === 0 ? null : spelledNumber(text);
    return number !== null && this.#numbers.has(number.canonical);
  }
}
