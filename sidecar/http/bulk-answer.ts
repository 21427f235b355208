// The answer of a bulk get: a JSON array with one item per key (dapr-state-api.md 1.8). A value that is JSON stands in
// it with its exact bytes; one that is not comes as a JSON string, so that it cannot spoil the others.

import { isUtf8 } from "node:buffer";
import { isJsonText } from "#kit/json-scanner.ts";
import type { BulkItem } from "../state/service.ts";
import { expireTimeText, TTL_EXPIRE_TIME_NAME } from "../state/ttl.ts";
import type { Found } from "../stores/store.ts";
import { goJson } from "./errors.ts";

/** Metadata of an item whose bytes are neither JSON nor UTF-8 and came as base64. */
export const ENCODING_NAME = "pannier.encoding";

/** The body of the answer in pieces, with the line end that Go's encoder leaves. Values are not copied. */
export function writeBulkItems(items: readonly BulkItem[]): readonly Buffer[] {
  return [Buffer.from("["), ...writeItems(items), Buffer.from("]\n")];
}

/** The items of a JSON array, without its brackets. */
export function writeItems(items: readonly BulkItem[]): Buffer[] {
  const pieces: Buffer[] = [];
  for (const [index, item] of items.entries()) {
    pieces.push(Buffer.from(`${index === 0 ? "" : ","}{"key":${goJson(item.key)}`));
    if (item.found !== null) writeFound(pieces, item.found);
    pieces.push(Buffer.from(item.error === null ? "}" : `,"error":${goJson(item.error)}}`));
  }
  return pieces;
}

function writeFound(pieces: Buffer[], found: Found): void {
  const metadata: Record<string, string> = {};
  if (found.expiresAtMs !== null) metadata[TTL_EXPIRE_TIME_NAME] = expireTimeText(found.expiresAtMs);
  if (found.bytes.length > 0) {
    pieces.push(Buffer.from(',"data":'));
    if (writeData(pieces, found.bytes) === "base64") metadata[ENCODING_NAME] = "base64";
  }
  if (found.etag !== null) pieces.push(Buffer.from(`,"etag":${goJson(found.etag)}`));
  if (Object.keys(metadata).length > 0) pieces.push(Buffer.from(`,"metadata":${goJson(metadata)}`));
}

/** A value as JSON: its exact bytes when they are JSON, else a string of its text or its base64; tells which. */
export function writeData(pieces: Buffer[], value: Uint8Array): "json" | "text" | "base64" {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.length);
  if (!isUtf8(bytes)) {
    pieces.push(Buffer.from(`"${bytes.toString("base64")}"`));
    return "base64";
  }
  if (isJsonText(bytes)) {
    pieces.push(bytes);
    return "json";
  }
  pieces.push(Buffer.from(goJson(bytes.toString("utf8"))));
  return "text";
}
