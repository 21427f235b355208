// What a query asks of values, as a condition of SQL on the jsonb of state.postgresql v1 (dapr-state-stores.md 3b). It is one
// of several, and lets more rows through than the query takes, never less: strings are compared loosely there.
import type { Narrowing, NarrowingToEqual, NarrowingToOrder, OrderWord } from "../narrowing.ts";
import type { Columns } from "./layout.ts";
import type { Parameter } from "./session.ts";

export interface Condition {
  /** In brackets where it needs them. */
  readonly text: string;
  /** As the text numbers them. */
  readonly parameters: readonly Parameter[];
}

const ORDER: Readonly<Record<OrderWord, string>> = { GT: ">", GTE: ">=", LT: "<", LTE: "<=" };
/** How a text begins that may spell a number of JSON. */
const NUMERIC_BEGINNING = "^-?[0-9]";

/** `first`: the number of its first parameter. Null where the server cannot look into values, or there is nothing to look for. */
export function conditionOf(where: Narrowing | null, { opaque }: Columns, first: number): Condition | null {
  if (where === null || opaque === null) return null;
  const parameters: Parameter[] = [];
  const given = (value: Parameter, type: string): string => `$${first - 1 + parameters.push(value)}::${type}`;
  return { text: `(${opaque} OR ${wordsOf(where, given)})`, parameters };
}

/** Keeps a parameter, and says how the statement calls it. */
type Given = (value: Parameter, type: string) => string;

function wordsOf(where: Narrowing, given: Given): string {
  switch (where.kind) {
    case "all":
      return `(${where.parts.map((part) => wordsOf(part, given)).join(" AND ")})`;
    case "any":
      return `(${where.parts.map((part) => wordsOf(part, given)).join(" OR ")})`;
    case "equal":
      return equality(where, given);
    case "ordered":
      return order(where, given);
  }
}

function equality({ path, strings, numbers, booleans }: NarrowingToEqual, given: Given): string {
  const at = given(path, "text[]");
  const texts = [...strings, ...booleans.map(String)];
  const ways = [`value #>> ${at} = ANY(${given(texts, "text[]")})`];
  // A string is equal to the number that it spells, and there are many spellings.
  if (strings.some((text) => /^-?\d/.test(text))) ways.push(`jsonb_typeof(value #> ${at}) = 'number'`);
  if (numbers.length > 0) {
    const number = `(value #>> ${at})::numeric = ANY(${given(numbers, "numeric[]")})`;
    ways.push(ifNumber(at, number, `value #>> ${at} ~ '${NUMERIC_BEGINNING}'`));
  }
  return `(${ways.join(" OR ")})`;
}

function order({ path, word, number }: NarrowingToOrder, given: Given): string {
  const at = given(path, "text[]");
  return ifNumber(at, `(value #>> ${at})::numeric ${ORDER[word]} ${given(number, "numeric")}`, "false");
}

/** A cast of anything else would end the statement with an error. */
function ifNumber(at: string, then: string, otherwise: string): string {
  return `CASE WHEN jsonb_typeof(value #> ${at}) = 'number' THEN ${then} ELSE ${otherwise} END`;
}
