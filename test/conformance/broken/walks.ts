// Stores that are wrong about walks over keys.
import type { Found, KeyRange, ListedRow, ListPage, ListRequest, Store } from "#sidecar/stores/store.ts";
import { call, READ, removal } from "../requests.ts";
import { type BrokenStore, mustHave } from "./broken-store.ts";

/** Every row of a range of the good store, in order. */
async function allRows(store: Store, range: KeyRange, values: boolean): Promise<readonly ListedRow[]> {
  const rows: ListedRow[] = [];
  let after: string | null = null;
  do {
    const page: ListPage = await mustHave(store.list).call(store, { range, after, limit: 1000, values }, call());
    rows.push(...page.rows);
    after = page.next;
  } while (after !== null);
  return rows;
}

/** A page out of all rows, with the number of rows before it as the position. */
function pageByOffset(rows: readonly ListedRow[], { after, limit }: ListRequest): ListPage {
  const from = Number(after ?? 0);
  const page = rows.slice(from, from + limit);
  return { rows: page, next: from + limit < rows.length ? String(from + limit) : null };
}

/** A store that knows all keys it was ever given, and tells those that `isTold` says. */
function withKeys(store: Store, isTold: (range: KeyRange, key: string) => boolean): Partial<Store> {
  const keys = new Set<string>();
  return {
    async set(write, each) {
      await store.set(write, each);
      keys.add(write.key);
    },
    async list(request) {
      const told = [...keys].filter((key) => isTold(request.range, key)).sort();
      return pageByOffset(
        told.map((key) => ({ key, found: null })),
        request,
      );
    },
  };
}

/** What SQL's LIKE matches without ESCAPE: "%" is any text, "_" any character, in any case. */
function isLike(pattern: string, key: string): boolean {
  const source = pattern
    .replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")
    .replaceAll("%", ".*")
    .replaceAll("_", ".");
  return new RegExp(`^${source}`, "isu").test(key);
}

/** A text as its JSON string, where it is none yet. */
function quoted(found: Found): Found {
  const text = Buffer.from(found.bytes).toString();
  return /^["{[\d]/.test(text) ? found : { ...found, bytes: Buffer.from(JSON.stringify(text)) };
}

export const walkFaults: readonly BrokenStore[] = [
  {
    name: "finds beginnings by LIKE",
    caughtBy: [
      "takes a percent sign in a beginning as itself",
      "takes an underscore in a beginning as itself",
      "takes a capital letter in a beginning as itself",
    ],
    spoil: (store) => withKeys(store, ({ start }, key) => isLike(start, key) && !key.slice(13).includes("||")),
  },
  {
    name: "takes a beginning for a glob",
    caughtBy: [
      "takes a star in a beginning as itself",
      "takes a question mark in a beginning as itself",
      "takes brackets in a beginning as itself",
      "takes a backslash in a beginning as itself",
    ],
    spoil: (store) => withKeys(store, ({ start }, key) => isGlobbed(start, key)),
  },
  {
    name: "tells the rows of other applications and actors",
    caughtBy: ["never tells a key with two bars behind the scope", "counts what a walk tells"],
    spoil: (store) => withKeys(store, ({ start }, key) => key.startsWith(start)),
  },
  {
    name: "forgets to take deleted and expired keys out of its index",
    caughtBy: ["does not tell a key that was deleted", "does not tell or count a value whose time is over"],
    spoil: (store) => withKeys(store, ({ start }, key) => key.startsWith(start)),
  },
  {
    name: "orders keys by UTF-16",
    caughtBy: ["tells keys in the order of their bytes"],
    spoil: (store) => withKeys(store, ({ start }, key) => key.startsWith(start)),
  },
  {
    name: "ends a range where its last letter ends, plus one unit of UTF-16",
    caughtBy: ["takes the last character of the first plane in a beginning as itself"],
    spoil: (store) => withKeys(store, ({ start }, key) => key >= start && key < nextUnit(start)),
  },
  {
    name: "counts rows for a position, so that a delete moves the others",
    caughtBy: [
      "tells the keys that stay while others come and go between the pages",
      "goes on where a page ended although that key is deleted",
      "agrees with a sorted array while others write",
    ],
    spoil: (store) => ({
      list: async (request) => pageByOffset(await allRows(store, request.range, request.values), request),
    }),
  },
  {
    name: "takes its bounds from the position",
    caughtBy: ["never leaves the range, whatever position comes in"],
    spoil: (store) => ({
      async list(request, each) {
        const { after, range } = request;
        const isElsewhere = after !== null && !after.startsWith(range.start);
        const start = isElsewhere && after.startsWith(range.scope) ? after : range.start;
        const none = isElsewhere && start !== after;
        return mustHave(store.list).call(
          store,
          { ...request, range: { ...range, start }, after: none ? null : after },
          each,
        );
      },
    }),
  },
  {
    name: "gives more rows than asked for",
    caughtBy: ["gives every key once, whatever the size of a page"],
    spoil: (store) => ({
      list: (request, each) => mustHave(store.list).call(store, { ...request, limit: request.limit + 1 }, each),
    }),
  },
  {
    name: "loses the first row of every page but the first",
    caughtBy: ["gives every key once, whatever the size of a page", "walks over many keys in pages of the usual size"],
    spoil: (store) => ({
      async list(request, each) {
        const page = await mustHave(store.list).call(store, request, each);
        return request.after === null ? page : { ...page, rows: page.rows.slice(1) };
      },
    }),
  },
  {
    name: "ends a walk with a page that is not full",
    caughtBy: ["ends a page whose values have become many bytes"],
    spoil: (store) => ({
      async list(request, each) {
        const page = await mustHave(store.list).call(store, request, each);
        return page.rows.length < request.limit ? { ...page, next: null } : page;
      },
    }),
  },
  {
    name: "holds a whole page of large values",
    caughtBy: ["ends a page whose values have become many bytes"],
    spoil: (store) => ({
      async list({ range, after, limit, values }) {
        const rows = (await allRows(store, range, values)).filter(({ key }) => after === null || key > after);
        const page = rows.slice(0, limit);
        return { rows: page, next: rows.length > limit ? (page.at(-1)?.key ?? null) : null };
      },
    }),
  },
  {
    name: "gives values unasked",
    caughtBy: ["gives values only when asked for"],
    spoil: (store) => ({
      list: (request, each) => mustHave(store.list).call(store, { ...request, values: true }, each),
    }),
  },
  {
    name: "gives raw texts as JSON in reads of many",
    caughtBy: ["gives raw bytes that are text", "answers raw bytes that are text"],
    spoil: (store) => ({
      async list(request, each) {
        const page = await mustHave(store.list).call(store, request, each);
        return { ...page, rows: page.rows.map((row) => ({ ...row, found: row.found && quoted(row.found) })) };
      },
      async getMany(keys, read, each) {
        const rows = await mustHave(store.getMany).call(store, keys, read, each);
        return rows.map((row) => (row !== null && "bytes" in row ? quoted(row) : row));
      },
    }),
  },
  {
    name: "gives values without ETag and expiry",
    caughtBy: ["gives with each key what get gives"],
    spoil: (store) => ({
      async list(request, each) {
        const page = await mustHave(store.list).call(store, request, each);
        const rows = page.rows.map(({ key, found }) => ({
          key,
          found: found === null ? null : { ...found, etag: null, expiresAtMs: null },
        }));
        return { ...page, rows };
      },
    }),
  },
  {
    name: "counts the rows of other applications",
    caughtBy: ["counts what a walk tells"],
    spoil: (store) => ({
      count: async (range, each) =>
        (await mustHave(store.count).call(store, range, each)) +
        ((await store.get(`${range.start}||x`, READ, each)) === null ? 0 : 1),
    }),
  },
  {
    name: "removes a whole range, whatever the limit",
    caughtBy: ["removes at most so many rows of a range, and says how many"],
    spoil: (store) => ({
      removeRange: (range, _limit, each) => mustHave(store.removeRange).call(store, range, 1000, each),
    }),
  },
  {
    name: "counts rows as removed that were gone",
    caughtBy: ["removes the rows that were told, and counts only those that are still there"],
    spoil: (store) => ({
      async removeListed(keys, each) {
        for (const key of keys) await store.remove(removal(key), each);
        return keys.length;
      },
    }),
  },
  {
    name: "says that it removed as many rows as it might have",
    caughtBy: ["removes at most so many rows of a range, and says how many"],
    spoil: (store) => ({
      async removeRange(range, limit, each) {
        await mustHave(store.removeRange).call(store, range, limit, each);
        return limit;
      },
    }),
  },
];

function isGlobbed(start: string, key: string): boolean {
  return new RegExp(`^${globSource(start)}`, "su").test(key);
}

/** The regular expression of a glob as Redis reads it. */
function globSource(glob: string): string {
  return glob
    .replaceAll(/[.+${}()|]/g, "\\$&")
    .replaceAll(/\\(?![.+${}()|\\])/g, "")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
}

function nextUnit(text: string): string {
  return text.slice(0, -1) + String.fromCharCode(text.charCodeAt(text.length - 1) + 1);
}
