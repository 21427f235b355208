// Queries over decoded JSON, written a second time and plainly: what the query API's answers are compared with. Also the
// generators of values and queries. Knows nothing of the code under test.
import fc from "fast-check";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
export type PlainFilter = { readonly [word: string]: unknown };
export interface PlainSort {
  readonly key: string;
  readonly order?: "ASC" | "DESC";
}
export interface PlainRow {
  readonly key: string;
  readonly value: Json;
}

const scalar: fc.Arbitrary<Json> = fc.oneof(
  fc.integer({ min: -2, max: 2 }),
  fc.constantFrom("", "a", "b", "1", "true", "\u{ff00}", "\u{10000}"),
  fc.boolean(),
  fc.constant(null),
);
const names = fc.constantFrom("a", "b", "c");

export const json: fc.Arbitrary<Json> = fc.letrec<{ value: Json; object: Json }>((tie) => ({
  value: fc.oneof({ weight: 4, arbitrary: scalar }, tie("object"), fc.array(scalar, { maxLength: 2 })),
  object: fc.dictionary(names, tie("value"), { maxKeys: 3 }),
})).object;

const path = fc.constantFrom("a", "b", "c", "a.a", "a.b", "b.c", "a.b.c");
const ordered = scalar.filter((value) => typeof value === "string" || typeof value === "number");

export const filter: fc.Arbitrary<PlainFilter> = fc.letrec<{ filter: PlainFilter }>((tie) => ({
  filter: fc.oneof(
    { maxDepth: 3 },
    fc.tuple(fc.constantFrom("EQ", "NEQ"), path, scalar).map(([word, at, value]) => ({ [word]: { [at]: value } })),
    fc
      .tuple(fc.constantFrom("GT", "GTE", "LT", "LTE"), path, ordered)
      .map(([word, at, value]) => ({ [word]: { [at]: value } })),
    fc.tuple(path, fc.array(scalar, { minLength: 1, maxLength: 3 })).map(([at, values]) => ({ IN: { [at]: values } })),
    fc
      .tuple(fc.constantFrom("AND", "OR"), fc.array(tie("filter"), { minLength: 2, maxLength: 3 }))
      .map(([word, filters]) => ({ [word]: filters })),
  ),
})).filter;

export const sort: fc.Arbitrary<readonly PlainSort[]> = fc.array(
  fc.record({ key: path, order: fc.constantFrom("ASC" as const, "DESC" as const) }, { requiredKeys: ["key"] }),
  { maxLength: 3 },
);

export function plainMatches(filter: PlainFilter, value: Json): boolean {
  const [[word, content] = ["", null]] = Object.entries(filter);
  if (word === "AND") return (content as PlainFilter[]).every((each) => plainMatches(each, value));
  if (word === "OR") return (content as PlainFilter[]).some((each) => plainMatches(each, value));
  const [[path, operand] = ["", null]] = Object.entries(content as Record<string, Json>);
  const found = follow(path, value);
  if (word === "IN") return (operand as Json[]).some((each) => each === found);
  if (word === "EQ") return found === operand;
  if (word === "NEQ") return found !== undefined && found !== null && found !== operand;
  if (typeof found !== typeof operand || (typeof found !== "number" && typeof found !== "string")) return false;
  const difference = plainCompare(found, operand as string | number);
  if (word === "GT") return difference > 0;
  if (word === "GTE") return difference >= 0;
  return word === "LT" ? difference < 0 : difference <= 0;
}

/** All rows in the order of the query. */
export function plainSorted(rows: readonly PlainRow[], sort: readonly PlainSort[]): readonly PlainRow[] {
  return rows.toSorted((left, right) => {
    for (const { key, order } of sort) {
      const one = sortable(follow(key, left.value));
      const other = sortable(follow(key, right.value));
      if (one === null && other === null) continue;
      if (one === null) return 1;
      if (other === null) return -1;
      const kinds = ["boolean", "number", "string"];
      const byKind = kinds.indexOf(typeof one) - kinds.indexOf(typeof other);
      const difference = byKind === 0 ? plainCompare(one, other) : byKind;
      if (difference !== 0) return order === "DESC" ? -difference : difference;
    }
    return plainCompare(left.key, right.key);
  });
}

function follow(path: string, value: Json): Json | undefined {
  let at: Json | undefined = value;
  for (const name of path.split(".")) {
    if (typeof at !== "object" || at === null || Array.isArray(at)) return undefined;
    at = Object.entries(at).find(([each]) => each === name)?.[1];
  }
  return at;
}

function sortable(value: Json | undefined): boolean | number | string | null {
  return value === undefined || typeof value === "object" ? null : value;
}

function plainCompare(left: boolean | number | string, right: boolean | number | string): number {
  if (typeof left === "string" && typeof right === "string")
    return Buffer.compare(Buffer.from(left), Buffer.from(right));
  return Number(left) - Number(right);
}
