// Queries over the documents of one container: pages of the keys of a range, and documents by their keys. Every query is
// bounded by ids; the server walks over its partitions one after the other and gives a position to go on from.
import { crc32 } from "node:zlib";
import {
  type Call,
  isInRange,
  type KeyRange,
  LIST_BYTES_MAX,
  type ListedRow,
  type ListPage,
  type ListRequest,
  StoreError,
} from "../store.ts";
import { type CosmosClient, textOf } from "./client.ts";
import { strangeError } from "./failures.ts";
import { idStarts, keyOf, type Layout, readDocument, type StoredDocument, toFound } from "./layout.ts";
import { type Condition, conditionOf, type Parameter } from "./narrowing.ts";

interface Query {
  readonly text: string;
  readonly parameters: readonly Parameter[];
  /** Null: over all partitions. */
  readonly partition: string | null;
}

/** What a query gives of one document. */
type Row = Readonly<Record<string, unknown>>;

interface QueryPage {
  readonly rows: readonly Row[];
  readonly next: string | null;
}

/** Pages of the server that one page of a list asks for: among many keys of actors it may be short, or empty. */
const PAGES_MAX = 20;
/** Rows of a page of the server; with values few at first, for each may be large. The service's own bound is 4 MiB. */
const ROWS_MAX = 1000;
const VALUES_FIRST = 8;
/** A position goes into a URL, so the server is to make it short. */
const POSITION_KIB = "1";
/** The server may need more than it was asked for; a longer one would fill what a server takes for headers. */
const POSITION_CHARACTERS_MAX = 8_192;
const FIRST_PRINTABLE = 0x20;
const LAST_PRINTABLE = 0x7e;

/** One page of the server. */
async function queryPage(
  client: CosmosClient,
  { text, parameters, partition }: Query,
  { after, rows: rowsMax }: { readonly after: string | null; readonly rows: number },
  call: Call,
): Promise<QueryPage> {
  const answer = await client.send(
    {
      method: "POST",
      target: { kind: "documents" },
      partition,
      headers: {
        "content-type": "application/query+json",
        "x-ms-documentdb-isquery": "True",
        "x-ms-documentdb-responsecontinuationtokenlimitinkb": POSITION_KIB,
        "x-ms-max-item-count": String(rowsMax),
        ...(after === null ? {} : { "x-ms-continuation": after }),
      },
      body: JSON.stringify({ query: text, parameters }),
      isWrite: false,
      check: null,
    },
    call,
  );
  return { rows: rowsOf(answer.body, client.server), next: textOf(answer, "x-ms-continuation") ?? null };
}

function rowsOf(body: Buffer, server: string): readonly Row[] {
  let documents: unknown = null;
  try {
    ({ Documents: documents } = JSON.parse(body.toString()));
  } catch {
    // Told below: the parser's own words would show a part of a value.
  }
  if (!Array.isArray(documents)) throw strangeError(server, false);
  return documents;
}

/** Bounded by the beginning of the ids, which are indexed; keys with two bars behind the scope stay with the server. */
function rangeQuery({ scope, start }: KeyRange, members: string, also: Condition | null = null): Query {
  const starts = idStarts(start).map((value, index) => ({ name: index === 0 ? "@start" : "@dots", value }));
  const started = starts.map(({ name }) => `STARTSWITH(c.id, ${name})`).join(" OR ");
  const bound = starts.length === 1 ? started : `(${started})`;
  const text = `SELECT ${members} FROM c WHERE ${bound} AND NOT CONTAINS(SUBSTRING(c.id, @scope, LENGTH(c.id)), "||") AND IS_DEFINED(c["value"]) AND IS_STRING(c.partitionKey)${also === null ? "" : ` AND ${also.text}`}`;
  // Counted in UTF-16. Should the server count characters, it lets more through than wanted, and never less.
  const scopeLength = idStarts(scope)[0].length;
  const parameters = [...starts, { name: "@scope", value: scopeLength }, ...(also?.parameters ?? [])];
  return { text, parameters, partition: null };
}

/** A page of a range, in the server's order. Its position is what the server calls a continuation. */
export async function listPage(
  client: CosmosClient,
  layout: Layout,
  { range, after, limit, values, where = null }: ListRequest,
  call: Call,
): Promise<ListPage> {
  const query = rangeQuery(range, values ? "*" : "c.id", values ? conditionOf(where) : null);
  const rows: ListedRow[] = [];
  const from = after === null ? null : fromPosition(after);
  let next = from;
  let bytes = 0;
  let step = values ? VALUES_FIRST : ROWS_MAX;
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    const asked = { after: next, rows: Math.min(step, limit - rows.length) };
    const page = await queryPage(client, query, asked, call).catch((error: unknown) => {
      // A position of another query is one that the server refuses.
      throw from !== null && next === from && isRefusal(error) ? foreignPosition() : error;
    });
    for (const row of page.rows) {
      const listed = toListed(row, range, values ? layout : null);
      if (listed === null) continue;
      rows.push(listed);
      bytes += listed.found?.bytes.length ?? 0;
    }
    next = page.next;
    if (next === null || rows.length >= limit || bytes >= LIST_BYTES_MAX) break;
    step = Math.min(step * 2, ROWS_MAX);
  }
  return { rows, next: next === null ? null : toPosition(next) };
}

function isRefusal(error: unknown): boolean {
  return error instanceof StoreError && error.code === "failed";
}

/** Null for what is no row of the range in this layout. `layout`: with the value. */
function toListed(row: Row, range: KeyRange, layout: Layout | null): ListedRow | null {
  const key = typeof row.id === "string" ? keyOf(row.id) : null;
  if (key === null || !isInRange(range, key)) return null;
  if (layout === null) return { key, found: null };
  const document = readDocument(row);
  if (document === null) return null;
  try {
    return { key, found: toFound(document, layout) };
  } catch (error) {
    // A document that cannot be read is no row of this layout.
    if (error instanceof StoreError && error.code === "corrupt") return null;
    throw error;
  }
}

/** A position of the server with a checksum before it, so that a text that is none is found without asking. */
function toPosition(continuation: string): string {
  return `${checksum(continuation)}.${continuation}`;
}

/** What the server called the position. Throws `refused` for a text that no page has ended with. */
function fromPosition(position: string): string {
  const dot = position.indexOf(".");
  const continuation = position.slice(dot + 1);
  const isOne = dot > 0 && isHeaderText(continuation) && position.slice(0, dot) === checksum(continuation);
  if (isOne) return continuation;
  throw foreignPosition();
}

/** Anybody can make a checksum, so this is what keeps other texts out of the header. */
function isHeaderText(text: string): boolean {
  if (text === "" || text.length > POSITION_CHARACTERS_MAX) return false;
  for (let at = 0; at < text.length; at++)
    if (text.charCodeAt(at) < FIRST_PRINTABLE || text.charCodeAt(at) > LAST_PRINTABLE) return false;
  return true;
}

function checksum(text: string): string {
  return crc32(text).toString(36);
}

function foreignPosition(): StoreError {
  return new StoreError("refused", "the position of the page is none of this range");
}

/** Where a document lies. */
export interface Place {
  readonly id: string;
  readonly partition: string;
}

/** Documents of a range, as many as `limit`, and where the next ones begin. */
export async function rangePlaces(
  client: CosmosClient,
  range: KeyRange,
  { after, limit }: { readonly after: string | null; readonly limit: number },
  call: Call,
): Promise<{ readonly places: readonly Place[]; readonly next: string | null }> {
  const query = rangeQuery(range, "c.id, c.partitionKey");
  const page = await queryPage(client, query, { after, rows: Math.min(limit, ROWS_MAX) }, call);
  const places = page.rows.flatMap((row) => {
    const { id, partitionKey } = row;
    if (typeof partitionKey !== "string" || typeof id !== "string" || toListed(row, range, null) === null) return [];
    return [{ id, partition: partitionKey }];
  });
  return { places, next: page.next };
}

/** Documents that one query asks for. */
export const IDS_MAX = 100;
/** Pages that its answer may have: a partition with nothing to tell may still answer with a page. */
const ID_PAGES_MAX = 1000;

/** A document of a place; null where it is not in this layout. */
export interface PlacedDocument extends Place {
  readonly document: StoredDocument | null;
}

/** The documents under these ids, of which there are at most {@link IDS_MAX}, in one partition or in all. */
export async function documentsOf(
  client: CosmosClient,
  ids: readonly string[],
  partition: string | null,
  call: Call,
): Promise<readonly PlacedDocument[]> {
  const parameters = ids.map((value, index) => ({ name: `@id${index}`, value }));
  const text = `SELECT * FROM c WHERE c.id IN (${parameters.map(({ name }) => name).join(", ")})`;
  const documents: PlacedDocument[] = [];
  let after: string | null = null;
  for (let pages = 0; pages < ID_PAGES_MAX; pages++) {
    const page: QueryPage = await queryPage(client, { text, parameters, partition }, { after, rows: ROWS_MAX }, call);
    for (const row of page.rows) {
      const { id, partitionKey } = row;
      if (typeof id !== "string" || typeof partitionKey !== "string") continue;
      documents.push({ id, partition: partitionKey, document: readDocument(row) });
    }
    after = page.next;
    if (after === null) return documents;
  }
  throw strangeError(client.server, false);
}
