// state.memcached: one or several servers of memcached 1.6, in Dapr's layout (dapr-state-stores.md 14). This file opens it:
// settings into connections and a store.
import { assert } from "#kit/assert.ts";
import { type OpenContext, type Store, type StoreDriver, storeDriver } from "../store.ts";
import { lossError, MemcachedError, replyError } from "./failures.ts";
import { check, fields, type MemcachedSettings, timeoutOf } from "./fields.ts";
import { parseHosts } from "./hosts.ts";
import { isRefusal, Link } from "./link.ts";
import { MemcachedStore } from "./memcached-store.ts";
import { SETTINGS_COMMAND, VERSION_COMMAND } from "./protocol.ts";

export const driver: StoreDriver = storeDriver<MemcachedSettings>({
  type: "state.memcached",
  versions: ["v1"],
  defaultVersion: "v1",
  fields,
  check,
  foresee: ({ etags }) => ({ lacks: etags ? ["transactions"] : ["etag", "transactions"], bareKeysBy: null }),
  open,
});

async function open(settings: Readonly<MemcachedSettings>, context: OpenContext): Promise<Store> {
  const hosts = parseHosts(settings.hosts);
  assert(!("want" in hosts), "the settings were checked with the fields");
  const { clock, signal } = context;
  const timeoutMs = timeoutOf(settings);
  const links = hosts.map((host) => new Link({ host, timeoutMs, clock }));
  try {
    await Promise.all(links.map((link) => mustBeNew(link, signal)));
    const limits = await Promise.all(links.map((link) => valueBytesMax(link, signal)));
    const known = limits.filter((limit) => limit !== null);
    const smallest = known.length === 0 ? null : Math.min(...known);
    return new MemcachedStore({ links, etags: settings.etags, valueBytesMax: smallest, clock });
  } catch (error) {
    for (const link of links) link.close();
    throw error;
  }
}

/** The first release with the meta commands as they are used here. */
const OLDEST = [1, 6, 10] as const;

async function mustBeNew(link: Link, signal: AbortSignal): Promise<void> {
  const [reply] = await link.send({ bytes: VERSION_COMMAND, isWrite: false, until: null }, signal);
  if (reply !== undefined && isRefusal(reply)) throw replyError(reply.words.join(" "), link.server);
  if (reply?.words[0] !== "VERSION") throw lossError("garbled", link.server, false);
  const [, major, minor, patch] = /^VERSION (\d+)\.(\d+)\.(\d+)/.exec(reply.words.join(" ")) ?? [];
  // Others than memcached itself count in their own way.
  if (major === undefined) return;
  const version = [major, minor, patch].map(Number);
  const at = OLDEST.findIndex((least, index) => version[index] !== least);
  if (at < 0 || (version[at] ?? 0) > (OLDEST[at] ?? 0)) return;
  const text = `memcached at ${link.server} is version ${version.join(".")}, want ${OLDEST.join(".")} or later`;
  throw new MemcachedError("unavailable", text);
}

/** What an item holds besides its value, at most: its head, a key, a CAS number, the ends of lines. */
const ITEM_OVERHEAD_BYTES = 512;

/** The largest value that a server keeps, or null when it does not say. */
async function valueBytesMax(link: Link, signal: AbortSignal): Promise<number | null> {
  const replies = await link.send({ bytes: SETTINGS_COMMAND, isWrite: false, until: "END" }, signal);
  const setting = replies.find(({ words }) => words[1] === "item_size_max");
  const bytes = Number(setting?.words[2]);
  return Number.isSafeInteger(bytes) && bytes > ITEM_OVERHEAD_BYTES ? bytes - ITEM_OVERHEAD_BYTES : null;
}
