// What of a filter a server may look for by itself: less than the filter says where saying it could leave out a row that
// the filter takes. The filter itself is held against every row that comes (filter.ts).
import type { Narrowing, NarrowingToEqual, OrderWord } from "../../stores/narrowing.ts";
import { JsonNumber } from "./number.ts";
import type { ComparisonWord, Filter } from "./parse.ts";
import type { Operand } from "./scalar.ts";

/** Servers cut long texts off in indexes, and have limits for statements. */
const TEXT_LENGTH_MAX = 256;
const NUMBER_LENGTH_MAX = 30;
const ORDER_WORDS: Readonly<Partial<Record<ComparisonWord, OrderWord>>> = {
  GT: "GT",
  GTE: "GTE",
  LT: "LT",
  LTE: "LTE",
};

/** Null where nothing can be said. */
export function narrowingOf(filter: Filter): Narrowing | null {
  if (!("filters" in filter)) return comparison(filter.word, filter.path, filter.operands);
  const parts = filter.filters.map(narrowingOf);
  const said = parts.filter((part) => part !== null);
  if (filter.word === "OR") return said.length === parts.length ? { kind: "any", parts: said } : null;
  return said.length === 0 ? null : { kind: "all", parts: said };
}

function comparison(word: ComparisonWord, path: string, operands: readonly Operand[]): Narrowing | null {
  const names = path.split(".");
  if (!names.every(isPlain)) return null;
  if (word === "EQ" || word === "IN") return equality(names, operands);
  const order = ORDER_WORDS[word];
  const [operand] = operands;
  // Strings have an order of their own in each server.
  if (order === undefined || !(operand instanceof JsonNumber) || !isShort(operand)) return null;
  return { kind: "ordered", path: names, word: order, number: operand.text };
}

function equality(path: readonly string[], operands: readonly Operand[]): NarrowingToEqual | null {
  const strings: string[] = [];
  const numbers: string[] = [];
  const booleans: boolean[] = [];
  for (const operand of operands) {
    if (typeof operand === "string" && isPlain(operand)) strings.push(operand);
    else if (operand instanceof JsonNumber && isShort(operand)) numbers.push(operand.text);
    else if (typeof operand === "boolean") booleans.push(operand);
    // A null that is there is not told from nothing everywhere.
    else return null;
  }
  return { kind: "equal", path, strings, numbers, booleans };
}

/** Every server takes it as a parameter, and keeps it. Half a surrogate pair has become U+FFFD here, and in no server. */
function isPlain(text: string): boolean {
  return text.length <= TEXT_LENGTH_MAX && text.isWellFormed() && !text.includes("\0") && !text.includes("\ufffd");
}

/** Its exponent is short then too; servers write the digits of a large one out. */
function isShort({ text }: JsonNumber): boolean {
  return text.length <= NUMBER_LENGTH_MAX && !/e/i.test(text);
}
