// Walks over the keys of a range along the primary key, by their code units: a page, their number, deleting them. Knows the
// range; when to walk is the core's business. Only for columns that compare keys by code units: by other collations the
// server does not find all rows that begin with a text between two bounds.
import { keysPadded } from "../sql/lists.ts";
import { orNull } from "../sql/rows.ts";
import { fitting, ROWS_WITH_VALUES_MAX, reachOf } from "../sql/walk.ts";
import { type Found, type KeyRange, type ListedRow, type ListPage, type ListRequest, StoreError } from "../store.ts";
import { bytesOf, INDEX_CHARACTERS_MAX } from "./keys.ts";
import { toFound, type ValueColumn } from "./layout.ts";
import type { Session, Values } from "./session.ts";
import { changedIn, keyValues, LIVE, type Parameters, type Statement, type Statements } from "./statements.ts";

/** Where a walk ends on both sides. Ends are texts, which are not always there: one that begins with U+FFFF has none. */
export interface Bounds {
  readonly from: "at" | "behind";
  readonly hasEnd: boolean;
}

export interface WalkStatements {
  /** From, End, Start, Behind, Look, Limit. Columns Key, Ours, Number, Size. */
  readonly page: (bounds: Bounds) => Statement;
  /** From, End, Start, Behind. Count. */
  readonly count: (bounds: Bounds) => Statement;
  /** From, End, Start, Behind, Limit. Changed. */
  readonly removeRange: (bounds: Bounds) => Statement;
}

const RANGE: Parameters = [
  ["From", "key"],
  ["Start", "key"],
  ["Behind", "whole"],
];
const END: Parameters = [["End", "key"]];

/** `state` in brackets. */
export function walkStatements(state: string, value: ValueColumn): WalkStatements {
  // The server compares as if there were spaces at the end, so the beginning is compared by its bytes.
  const begins = `DATALENGTH([Key]) >= DATALENGTH(@Start) AND SUBSTRING(${bytesOf("[Key]")}, 1, DATALENGTH(@Start)) = ${bytesOf("@Start")}`;
  const mine = `${begins} AND CHARINDEX(N'||', [Key], @Behind) = 0 AND ${LIVE} AND ${value.valid}`;
  const between = ({ from, hasEnd }: Bounds): string =>
    `[Key] ${from === "at" ? ">=" : ">"} @From${hasEnd ? " AND [Key] < @End" : ""}`;
  const parameters = ({ hasEnd }: Bounds, ...more: Parameters): Parameters => [
    ...RANGE,
    ...(hasEnd ? END : []),
    ...more,
  ];
  return {
    page: (bounds) => {
      // Rows that are passed over count too: a page must not go through millions of others' rows to find a few.
      const looked = `SELECT TOP (@Look) [Key], ROW_NUMBER() OVER (ORDER BY [Key]) AS [Number],
        CASE WHEN ${mine} THEN 1 ELSE 0 END AS [Ours], ${value.size} AS [Size]
        FROM ${state} WHERE ${between(bounds)} ORDER BY [Key]`;
      const text = `SELECT TOP (@Limit) [Key], [Ours], [Number], [Size] FROM (${looked}) AS [looked]
        WHERE [Ours] = 1 OR [Number] = @Look ORDER BY [Key];`;
      return { text, lasting: false, parameters: parameters(bounds, ["Look", "whole"], ["Limit", "whole"]) };
    },
    count: (bounds) => {
      const text = `SELECT COUNT_BIG(*) AS [Count] FROM ${state} WHERE ${between(bounds)} AND ${mine};`;
      return { text, lasting: false, parameters: parameters(bounds) };
    },
    removeRange: (bounds) => {
      const text = `DELETE TOP (@Limit) FROM ${state} WHERE ${between(bounds)} AND ${mine}; SELECT @@ROWCOUNT AS [Changed];`;
      return { text, lasting: true, parameters: parameters(bounds, ["Limit", "whole"]) };
    },
  };
}

export interface Walk {
  readonly session: Session;
  readonly sql: WalkStatements & Pick<Statements, "getMany">;
  readonly value: ValueColumn;
}

/** Rejects with `refused` for a position that is not in the range. */
export async function listPage(walk: Walk, request: ListRequest): Promise<ListPage> {
  const { session, sql } = walk;
  const { range, after, values } = request;
  const ends = boundsOf(range, after);
  if (ends === null) return { rows: [], next: null };
  const { limit, look } = reachOf(request);
  // One more than asked for tells whether there is a next page.
  const rows = await session.run(sql.page(ends.bounds), { ...ends.parameters, Look: look, Limit: limit + 1 });
  const ours = rows.filter(({ Ours }) => Ours === 1);
  const hits = ours.slice(0, limit);
  const until = rows.find(({ Number: number }) => Number(number) === look);
  // Keys that begin so are next to each other: behind one that does not there are none.
  const isLast = until === undefined || !String(until.Key).startsWith(range.start);
  const next = ours.length > limit ? String(hits.at(-1)?.Key) : isLast ? null : String(until.Key);
  const listed = hits.map(({ Key, Size }) => ({ key: String(Key), bytes: Number(Size) }));
  return values ? withValues(walk, listed, next) : { rows: listed.map(({ key }) => ({ key, found: null })), next };
}

interface Listed {
  readonly key: string;
  /** Of its value, or fewer. */
  readonly bytes: number;
}

async function withValues(walk: Walk, listed: readonly Listed[], next: string | null): Promise<ListPage> {
  const asked = listed.slice(0, fitting(listed.map(({ bytes }) => bytes))).map(({ key }) => key);
  const found = await valuesOf(walk, asked);
  const there = asked.flatMap((key): readonly ListedRow[] => {
    const value = found.get(key);
    return value === undefined ? [] : [{ key, found: value }];
  });
  const rows = there.slice(0, fitting(there.map((row) => row.found?.bytes.length ?? 0)));
  const last = rows.length < there.length ? rows.at(-1)?.key : asked.length < listed.length ? asked.at(-1) : undefined;
  return { rows, next: last ?? next };
}

async function valuesOf({ session, sql, value }: Walk, keys: readonly string[]): Promise<ReadonlyMap<string, Found>> {
  const found = new Map<string, Found>();
  for (const padded of keysPadded(keys, ROWS_WITH_VALUES_MAX)) {
    for (const row of await session.run(sql.getMany(padded.length), keyValues(padded))) {
      // Null: something else has written it anew since its key was told.
      const there = orNull(() => toFound(row, value));
      if (there !== null) found.set(String(row.Key), there);
    }
  }
  return found;
}

export async function countRange({ session, sql }: Walk, range: KeyRange): Promise<number> {
  const ends = boundsOf(range, null);
  if (ends === null) return 0;
  const [row] = await session.run(sql.count(ends.bounds), ends.parameters);
  return Number(row?.Count);
}

export async function removeRange({ session, sql }: Walk, range: KeyRange, limit: number): Promise<number> {
  const ends = boundsOf(range, null);
  if (ends === null) return 0;
  return changedIn(await session.run(sql.removeRange(ends.bounds), { ...ends.parameters, Limit: limit }));
}

/** Null for a beginning that is longer than any key. Throws a StoreError of code `refused` for what is no position in it. */
function boundsOf({ scope, start }: KeyRange, after: string | null): { bounds: Bounds; parameters: Values } | null {
  if (!start.isWellFormed()) throw new StoreError("refused", "the range begins with half a surrogate pair");
  const isPosition = after === null || (after.startsWith(start) && after.isWellFormed());
  if (!isPosition || (after ?? "").length > INDEX_CHARACTERS_MAX)
    throw new StoreError("refused", "the position is not one of this range");
  if (start.length > INDEX_CHARACTERS_MAX) return null;
  const end = endOf(start);
  const parameters = {
    From: after ?? firstOf(start),
    Start: start,
    Behind: scope.length + 1,
    ...(end === null ? {} : { End: end }),
  };
  return { bounds: { from: after === null ? "at" : "behind", hasEnd: end !== null }, parameters };
}

/** Before all that begin with `start`: what is missing in length counts as spaces, before which there are characters. */
function firstOf(start: string): string {
  return start.padEnd(INDEX_CHARACTERS_MAX, "\0");
}

const LAST_UNIT = 0xffff;
const SURROGATES_FROM = 0xd7ff;
const SURROGATES_TO = 0xdfff;

/**
 * A text behind all that begin with `start`; rows before it that begin otherwise are passed over by their beginning. Ends
 * with no surrogate, so that it is the same whether the server counts code units or characters. Null: there is none.
 */
function endOf(start: string): string | null {
  for (let last = start.length - 1; last >= 0; last--) {
    const unit = start.charCodeAt(last);
    if (unit === LAST_UNIT || (unit >= SURROGATES_FROM && unit <= SURROGATES_TO)) continue;
    return start.slice(0, last) + String.fromCharCode(unit + 1);
  }
  return null;
}
