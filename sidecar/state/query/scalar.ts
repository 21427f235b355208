// What a path leads to in a value, and the order of two such things: by type, never as texts. Which are equal is in
// operand-set.ts; differences between types are documented in docs/query.md.
import { compareUtf8 } from "#kit/utf8-order.ts";
import { JsonNumber } from "./number.ts";

/** Stands for an object or an array: it is equal to nothing and has no order. */
export const COMPOUND: unique symbol = Symbol("an object or an array");

export type Operand = string | boolean | JsonNumber | null;
/** `undefined`: the path leads nowhere. */
export type Scalar = Operand | typeof COMPOUND | undefined;

/** Below 0, 0 or above 0 for two numbers, or two strings by their code points; null for what has no order. */
export function compareOrdered(left: Scalar, right: Scalar): number | null {
  if (typeof left === "string" && typeof right === "string") return compareUtf8(left, right);
  if (left instanceof JsonNumber && right instanceof JsonNumber) return left.compare(right);
  return null;
}
