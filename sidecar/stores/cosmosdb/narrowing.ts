// What a query asks of values, as a condition of Cosmos DB's SQL on the member `value`. It lets more documents through than
// the query takes, never less.
import { type Narrowing, type NarrowingToEqual, type OrderWord, wholeNumber } from "../narrowing.ts";

export interface Parameter {
  readonly name: string;
  readonly value: string | number | boolean;
}

export interface Condition {
  readonly text: string;
  readonly parameters: readonly Parameter[];
}

const ORDER: Readonly<Record<OrderWord, string>> = { GT: ">", GTE: ">=", LT: "<", LTE: "<=" };
/** Names stand in the text of the statement. */
const PLAIN_NAME = /^[A-Za-z0-9_-]{1,64}$/;
/** A statement has limits for its parameters and for its length. */
const PARAMETERS_MAX = 200;
/** Bytes that are no JSON, of which only the core knows what they are. */
const IS_BYTES = 'IS_STRING(c["value"])';

/** Null where the server is not asked. */
export function conditionOf(where: Narrowing | null): Condition | null {
  if (where === null) return null;
  const parameters: Parameter[] = [];
  const given: Given = (value) => {
    const name = `@where${parameters.length}`;
    parameters.push({ name, value });
    return name;
  };
  const words = wordsOf(where, given);
  return words === null || parameters.length > PARAMETERS_MAX
    ? null
    : { text: `(${IS_BYTES} OR ${words})`, parameters };
}

/** Keeps a parameter and gives its name. */
type Given = (value: string | number | boolean) => string;

function wordsOf(where: Narrowing, given: Given): string | null {
  switch (where.kind) {
    case "all": {
      const parts = where.parts.map((part) => wordsOf(part, given)).filter((part) => part !== null);
      return parts.length === 0 ? null : `(${parts.join(" AND ")})`;
    }
    case "any": {
      const parts = where.parts.map((part) => wordsOf(part, given));
      return parts.some((part) => part === null) ? null : `(${parts.join(" OR ")})`;
    }
    case "equal":
      return equality(where, given);
    case "ordered": {
      const number = wholeNumber(where.number);
      const place = placeOf(where.path);
      if (number === null || place === null) return null;
      return `(IS_NUMBER(${place}) AND ${place} ${ORDER[where.word]} ${given(number)})`;
    }
  }
}

function equality({ path, strings, numbers, booleans }: NarrowingToEqual, given: Given): string | null {
  const place = placeOf(path);
  const whole = numbers.map(wholeNumber);
  if (place === null || whole.some((number) => number === null)) return null;
  const operands = [...strings, ...whole.filter((number) => number !== null), ...booleans];
  return `${place} IN (${operands.map(given).join(", ")})`;
}

function placeOf(path: readonly string[]): string | null {
  return path.every((name) => PLAIN_NAME.test(name)) ? `c["value"]${path.map((name) => `["${name}"]`).join("")}` : null;
}
