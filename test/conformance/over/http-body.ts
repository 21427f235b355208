// Bodies of the HTTP API, both ways. Values stand in them with their exact bytes, so they are neither printed nor parsed.
import { JsonScanner } from "#kit/json-scanner.ts";
import type { Change, Found, Removal, Write } from "#sidecar/stores/store.ts";
import { toApiKey } from "./api-keys.ts";
import { expiresAtMs } from "./refusal.ts";

/** An item of a save, and the request of an upsert. */
export function writeItem({ key, bytes, etag, firstWrite, strong, ttlSec, metadata }: Write): Buffer {
  const all = ttlSec === null ? metadata : { ...metadata, ttlInSeconds: String(ttlSec) };
  const rest = { key: toApiKey(key), etag: etag ?? undefined, options: optionsOf(firstWrite, strong), metadata: all };
  return Buffer.concat([Buffer.from('{"value":'), bytes, Buffer.from(`,${JSON.stringify(rest).slice(1)}`)]);
}

/** An item of a bulk delete, and the request of a delete in a transaction. */
export function removalItem({ key, etag, firstWrite, strong, metadata }: Removal): Buffer {
  const options = optionsOf(firstWrite, strong);
  return Buffer.from(JSON.stringify({ key: toApiKey(key), etag: etag ?? undefined, options, metadata }));
}

function optionsOf(firstWrite: boolean, strong: boolean): object {
  return { concurrency: firstWrite ? "first-write" : undefined, consistency: strong ? "strong" : undefined };
}

export function listOf(items: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.from("["), ...separated(items), Buffer.from("]")]);
}

export function transactionOf(changes: readonly Change[]): Buffer {
  const operations = changes.map((change) => {
    const request = change.kind === "upsert" ? writeItem(change.write) : removalItem(change.removal);
    return Buffer.concat([Buffer.from(`{"operation":"${change.kind}","request":`), request, Buffer.from("}")]);
  });
  return Buffer.concat([Buffer.from('{"operations":'), listOf(operations), Buffer.from("}")]);
}

function separated(items: readonly Buffer[]): Buffer[] {
  return items.flatMap((item, index) => (index === 0 ? [item] : [Buffer.from(","), item]));
}

/** An item of a bulk get or a list. */
export interface AnswerItem {
  readonly key: string;
  /** Null where the item has no `etag`, which is where there is no value. */
  readonly found: Found | null;
  readonly error: string | null;
}

/** The items of a bulk get, which are the body, or those of a list, which are a member of it. */
export function readItems(body: Buffer): readonly AnswerItem[] {
  // The scanner passes over values: whether the whole is JSON, the platform's own parser says.
  JSON.parse(body.toString());
  const scanner = new JsonScanner(body);
  const items: AnswerItem[] = [];
  const read = (): void => scanner.array(() => void items.push(readItem(scanner)));
  if (scanner.kind() === "array") read();
  else scanner.object((name) => (name === "items" ? read() : void scanner.span()));
  return items;
}

function readItem(scanner: JsonScanner): AnswerItem {
  let data: Buffer | null = null;
  const rest: Record<string, unknown> = {};
  scanner.object((name) => {
    if (name === "data") data = scanner.span();
    else rest[name] = JSON.parse(scanner.span().toString());
  });
  const { key, etag, error = null, metadata = {} } = rest as unknown as ItemRest;
  if (etag === undefined) return { key, found: null, error };
  const found = { bytes: bytesOf(data, metadata), etag, expiresAtMs: expiresAtMs(metadata.ttlExpireTime) };
  return { key, found, error };
}

interface ItemRest {
  readonly key: string;
  readonly etag?: string;
  readonly error?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** No `data` stands for an empty value; base64 is marked as such. */
function bytesOf(data: Buffer | null, metadata: Readonly<Record<string, string>>): Buffer {
  if (data === null) return Buffer.alloc(0);
  return metadata["pannier.encoding"] === "base64" ? Buffer.from(JSON.parse(data.toString()), "base64") : data;
}
