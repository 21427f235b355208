// What a path leads to in a value, and how two such things compare: by type, never as texts. Differences between types
// are documented in docs/query.md.
import { compareUtf8 } from "#kit/utf8-order.ts";
import { JsonNumber, spelledNumber } from "./number.ts";

/** Stands for an object or an array: it is equal to nothing and has no order. */
export const COMPOUND: unique symbol = Symbol("an object or an array");

export type Operand = string | boolean | JsonNumber | null;
/** `undefined`: the path leads nowhere. */
export type Scalar = Operand | typeof COMPOUND | undefined;

/**
 * Whether both are the same: strings by their characters, numbers by their value. Different types never are, but for
 * `loose`, where a string is equal to the number or boolean that it spells.
 */
export function areEqual(left: Scalar, right: Scalar, loose: boolean): boolean {
  if (left === COMPOUND || right === COMPOUND || left === undefined) return false;
  if (left instanceof JsonNumber && right instanceof JsonNumber) return left.compare(right) === 0;
  if (left === right) return true;
  if (!loose) return false;
  if (typeof left === "string") return spells(left, right);
  return typeof right === "string" && spells(right, left);
}

function spells(text: string, other: Scalar): boolean {
  if (typeof other === "boolean") return text === String(other);
  if (!(other instanceof JsonNumber)) return false;
  return spelledNumber(text)?.compare(other) === 0;
}

/** Below 0, 0 or above 0 for two numbers, or two strings by their code points; null for what has no order. */
export function compareOrdered(left: Scalar, right: Scalar): number | null {
  if (typeof left === "string" && typeof right === "string") return compareUtf8(left, right);
  if (left instanceof JsonNumber && right instanceof JsonNumber) return left.compare(right);
  return null;
}
