// What a query asks of a value, as far as a server may look for it by itself. Knows no query and no server.

/**
 * A condition on the JSON of a value. A store that can look into values leaves out rows that do not fulfil it, which the
 * core then need not read. It may tell any other row, and whoever asked looks at each one told all the same: what must
 * never happen is that a row which fulfils it is left out. So a store that cannot say a part exactly says less.
 *
 * A path goes from member to member. Texts are well-formed and have no NUL.
 */
export type Narrowing =
  | { readonly kind: "all" | "any"; readonly parts: readonly Narrowing[] }
  | NarrowingToEqual
  | NarrowingToOrder;

/** What the path leads to is equal to one of these: strings by their characters, numbers by their exact value. */
export interface NarrowingToEqual {
  readonly kind: "equal";
  readonly path: readonly string[];
  readonly strings: readonly string[];
  /** As JSON spells them. */
  readonly numbers: readonly string[];
  readonly booleans: readonly boolean[];
}

export type OrderWord = "GT" | "GTE" | "LT" | "LTE";

/** The path leads to a number that stands so to this one. */
export interface NarrowingToOrder {
  readonly kind: "ordered";
  readonly path: readonly string[];
  readonly word: OrderWord;
  /** As JSON spells it. */
  readonly number: string;
}

/** The number where it is a whole one of which no other number is a neighbour in a double; else null. */
export function wholeNumber(text: string): number | null {
  const number = Number(text);
  return Number.isSafeInteger(number) && String(number) === text ? number : null;
}
