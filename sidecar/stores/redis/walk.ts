// A walk over all masters, one after the other. A cursor of SCAN is good for the process that gave it and for nobody
// else: a position says whose it is, and where that cannot be any more, the walk begins anew rather than lose a key.
import { createHash } from "node:crypto";
import { type ListPage, type ListRequest, StoreError } from "../store.ts";
import { RedisError } from "./errors.ts";
import type { Link } from "./link.ts";
import type { Layout, Node, Topology } from "./topology.ts";

export interface Walk {
  readonly topology: Topology;
  /** Runs a task over a link to that very master. */
  readonly over: <T>(node: Node, task: (link: Link) => Promise<T>) => Promise<T>;
  /** A page of one master. `after` is a position of its own, null for its first page. */
  readonly scan: (link: Link, after: string | null) => Promise<ListPage>;
}

/** Where a walk goes on. */
interface Place {
  /** How the keys were spread over masters when it was told. */
  readonly spread: string;
  /** Which of the masters. */
  readonly index: number;
  /** The process whose position it is; "" before it was asked. */
  readonly server: string;
  /** Null: at its beginning. */
  readonly after: string | null;
}

/**
 * A page of the keys of a range, all of one master. A master that was restarted or replaced is walked anew, and all of
 * them are when slots have moved from one to another, which is looked at once more at the end; so keys may be told
 * twice. Rejects with `refused` for a position that none of this has made.
 */
export async function walkPage({ topology, over, scan }: Walk, request: ListRequest): Promise<ListPage> {
  const layout = await topology.layout();
  const place = placeIn(layout, request.after);
  const node = layout.masters[place.index];
  if (node === undefined) throw foreign();
  const page = await over(node, async (link) => {
    const server = await serverOf(link);
    const { rows, next } = await scan(link, server === place.server ? place.after : null);
    return { rows, next: next === null ? null : write({ ...place, server, after: next }) };
  });
  if (page.next !== null) return page;
  const isLast = place.index === layout.masters.length - 1;
  if (!isLast) return { rows: page.rows, next: write({ ...startOf(layout), index: place.index + 1 }) };
  const now = await topology.layout(0);
  return { rows: page.rows, next: now.spread === layout.spread ? null : write(startOf(now)) };
}

function startOf({ spread }: Layout): Place {
  return { spread, index: 0, server: "", after: null };
}

function placeIn(layout: Layout, after: string | null): Place {
  if (after === null) return startOf(layout);
  const place = read(after);
  return place.spread === layout.spread ? place : startOf(layout);
}

/** The parts of a place are digests and numbers, none of which has the separator in it. */
const SEPARATOR = "~";

function write({ spread, index, server, after }: Place): string {
  return [spread, index, server, after ?? ""].join(SEPARATOR);
}

const DIGEST = /^(-|[\w-]{11})$/;
const SERVER = /^([\w-]{11})?$/;

function read(text: string): Place {
  const [spread = "", index = "", server = "", after = "", ...more] = text.split(SEPARATOR);
  const isPlace = DIGEST.test(spread) && /^\d{1,4}$/.test(index) && SERVER.test(server) && more.length === 0;
  if (!isPlace || (after === "") !== (server === "")) throw foreign();
  return { spread, index: Number(index), server, after: after === "" ? null : after };
}

function foreign(): StoreError {
  return new StoreError("refused", "the position of the page is none that redis gave");
}

const servers = new WeakMap<Link, string>();
const DIGEST_BYTES = 8;

/** Stands for the process behind a link: each has a seed of its own for the order of its keys. */
async function serverOf(link: Link): Promise<string> {
  const known = servers.get(link);
  if (known !== undefined) return known;
  const server = createHash("sha256")
    .update(await runIdOf(link))
    .digest()
    .toString("base64url", 0, DIGEST_BYTES);
  servers.set(link, server);
  return server;
}

async function runIdOf(link: Link): Promise<string> {
  try {
    const info = String(await link.call("read", "info", ["server"]));
    return /^run_id:(\w+)/m.exec(info)?.[1] ?? link.server;
  } catch (error) {
    // Who may not ask has to take the address for it, and does not notice a restart.
    if (error instanceof RedisError && error.reply !== null) return link.server;
    throw error;
  }
}
