// A query in the hands of a store that cannot list its keys and answers queries itself: handed on as it was understood, and
// its rows held to the caller's key prefix. What the filter means there is the store's business. Knows no driver.
import { assert } from "#kit/assert.ts";
import { isInRange, StoreError, type StoreQuery } from "../../stores/store.ts";
import { makePageToken, readPageToken } from "../page-token.ts";
import type { Caller, StateService } from "../service.ts";
import type { StoreEntry } from "../table.ts";
import { JsonNumber } from "./number.ts";
import { type Filter, type Query, QueryFault, RESULTS_MAX } from "./parse.ts";
import type { QueryAnswer } from "./run.ts";
import type { Operand } from "./scalar.ts";
import { querySubject } from "./token.ts";

/** One page of the rows that the store finds. Throws {@link QueryFault} and what the store throws. */
export async function queryNatively(
  service: StateService,
  { entry, query, bytesMax }: { readonly entry: StoreEntry; readonly query: Query; readonly bytesMax: number },
  caller: Caller,
): Promise<QueryAnswer> {
  const subject = querySubject(entry, query);
  const token = query.token === "" ? "" : readPageToken(subject, query.token);
  if (token === null)
    throw new QueryFault(
      "page.token: got a token that was altered, or made for another query, store or app; want the one that the page before answered",
    );
  const page = await service.attempt(entry, caller, { retry: null, conditional: false }, (call) => {
    assert(entry.store.query !== undefined, "asked only of a store that has it");
    return entry.store.query(asked(entry, query, token), call);
  });
  const range = { scope: entry.keyPrefix, start: entry.keyPrefix };
  const rows = page.rows
    .filter(({ key }) => isInRange(range, key))
    .map(({ key, found }) => ({ key: key.slice(entry.keyPrefix.length), found }));
  if (rows.length > RESULTS_MAX) throw tooLarge(`more than ${RESULTS_MAX} rows`);
  const bytes = rows.reduce((sum, { found }) => sum + found.bytes.length, 0);
  if (bytesMax > 0 && bytes > bytesMax && rows.length > 1) throw tooLarge("more bytes than an answer may have");
  if (page.token !== "" && page.token === token)
    throw new StoreError("failed", "the store answered the token of the page before, and the query would never end");
  return { rows, token: page.token === "" ? null : makePageToken(subject, page.token) };
}

function tooLarge(what: string): QueryFault {
  return new QueryFault(`the answer has ${what}; set page.limit, or a smaller one, and go on with page.token`);
}

function asked({ keyPrefix }: StoreEntry, { filter, sort, limit }: Query, token: string): StoreQuery {
  return { scope: keyPrefix, filter: filter === null ? {} : filterTexts(filter), sort, limit, token };
}

/** By operator: `{"EQ": '{"state":"CA"}'}`. */
function filterTexts(filter: Filter): Readonly<Record<string, string>> {
  if ("filters" in filter) {
    const parts = filter.filters.map((each) => {
      const [[word, text] = ["", ""]] = Object.entries(filterTexts(each));
      return `{${JSON.stringify(word)}:${text}}`;
    });
    return { [filter.word]: `[${parts.join(",")}]` };
  }
  const { word, path, operands } = filter;
  const texts = operands.map(operandText);
  return { [word]: `{${JSON.stringify(path)}:${word === "IN" ? `[${texts.join(",")}]` : texts.join("")}}` };
}

/** A number with the digits that it was written with. */
function operandText(operand: Operand): string {
  return operand instanceof JsonNumber ? operand.text : JSON.stringify(operand);
}
