// What a query asks of values, as a filter of MongoDB on the member `value`. It lets more documents through than the query
// takes, never less: the server enters arrays, and may compare strings by a collation.
import { BSON, type Document } from "mongodb";
import { type Narrowing, type NarrowingToEqual, type OrderWord, wholeNumber } from "../narrowing.ts";

const ORDER: Readonly<Record<OrderWord, string>> = { GT: "$gt", GTE: "$gte", LT: "$lt", LTE: "$lte" };

/** A value that is a string is the text of any JSON, which only the core can read. */
const IS_TEXT: Document = { value: { $type: "string" } };

/** Null where the server is not asked. */
export function filterOf(where: Narrowing | null): Document | null {
  const filter = where === null ? null : partOf(where);
  return filter === null ? null : { $or: [IS_TEXT, filter] };
}

function partOf(where: Narrowing): Document | null {
  switch (where.kind) {
    case "all": {
      const parts = where.parts.map(partOf).filter((part) => part !== null);
      return parts.length === 0 ? null : { $and: parts };
    }
    case "any": {
      const parts = where.parts.map(partOf);
      return parts.some((part) => part === null) ? null : { $or: parts };
    }
    case "equal":
      return equality(where);
    case "ordered": {
      const number = wholeNumber(where.number);
      const name = nameOf(where.path);
      return number === null || name === null ? null : { [name]: { [ORDER[where.word]]: new BSON.Double(number) } };
    }
  }
}

function equality({ path, strings, numbers, booleans }: NarrowingToEqual): Document | null {
  const name = nameOf(path);
  const whole = numbers.map(wholeNumber);
  if (name === null || whole.some((number) => number === null)) return null;
  return { [name]: { $in: [...strings, ...whole.map((number) => new BSON.Double(number ?? 0)), ...booleans] } };
}

/** Null for a name that means something else there; values with such a name are kept as text. */
function nameOf(path: readonly string[]): string | null {
  return path.some((name) => name === "" || name.startsWith("$")) ? null : ["value", ...path].join(".");
}
