// The answer of a bulk get: a JSON array with one item per key (dapr-state-api.md 1.8). A value that is JSON stands in
// it with its exact bytes; one that is not comes as a JSON string, so that it cannot spoil the others.

import { isUtf8 } from "node:buffer";
import type { BulkItem } from "../state/service.ts";
import { expireTimeText, TTL_EXPIRE_TIME_NAME } from "../state/ttl.ts";
import type { Found } from "../stores/store.ts";
import { goJson } from "./errors.ts";
import { isJsonText } from "./json-scanner.ts";

/** Metadata of an item whose bytes are neither JSON nor UTF-8 and came as base64. */
const ENCODING_NAME = "pannier.encoding";

/** The body of the answer in pieces, with the line end that Go's encoder leaves. Values are not copied. */
export function writeBulkItems(items: readonly BulkItem[]): readonly Buffer[] {
  const pieces: Buffer[] = [];
  for (const [index, item] of items.entries()) {
    pieces.push(Buffer.from(`${index === 0 ? "[" : ","}{"key":${goJson(item.key)}`));
    if (item.found !== null) writeFound(pieces, item.found);
    pieces.push(Buffer.from(item.error === null ? "}" : `,"error":${goJson(item.error)}}`));
  }
  pieces.push(Buffer.from(items.length === 0 ? "[]\n" : "]\n"));
  return pieces;
}

function writeFound(pieces: Buffer[], found: Found): void {
  const bytes = Buffer.from(found.bytes.buffer, found.bytes.byteOffset, found.bytes.length);
  const metadata: Record<string, string> = {};
  if (found.expiresAtMs !== null) metadata[TTL_EXPIRE_TIME_NAME] = expireTimeText(found.expiresAtMs);
  if (bytes.length > 0) {
    const isText = isUtf8(bytes);
    if (isText && isJsonText(bytes)) pieces.push(Buffer.from(',"data":'), bytes);
    else if (isText) pieces.push(Buffer.from(`,"data":${goJson(bytes.toString("utf8"))}`));
    else {
      pieces.push(Buffer.from(`,"data":"${bytes.toString("base64")}"`));
      metadata[ENCODING_NAME] = "base64";
    }
  }
  if (found.etag !== null) pieces.push(Buffer.from(`,"etag":${goJson(found.etag)}`));
  if (Object.keys(metadata).length > 0) pieces.push(Buffer.from(`,"metadata":${goJson(metadata)}`));
}
