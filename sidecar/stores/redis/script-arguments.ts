// What the scripts of writes are given: conditions, time to live and value, and whether that becomes a JSON document.
// Knows no server.
import { type Change, type Metadata, StoreError, type Write } from "../store.ts";
import { documentText } from "./document-text.ts";
import type { Argument } from "./link.ts";
import { canonicalVersion } from "./rows.ts";

/** With or without documents: that is for the server to say which runs the script. */
export type ArgumentsFor = (hasJson: boolean) => readonly Argument[];

const NO_WRITE: readonly Argument[] = ["", "", "", ""];

/** Of a change in a transaction; `where` begins the text of an error. Throws etag-invalid. */
export function changeArguments(change: Change, where: string): ArgumentsFor {
  if (change.kind === "delete") {
    const given = ["delete", etagArgument(change.removal.etag, where), ...NO_WRITE];
    return () => given;
  }
  const write = writeArguments(change.write, where);
  return (hasJson) => ["upsert", ...write(hasJson)];
}

/** Of a write by itself. Throws etag-invalid. */
export function writeArguments(write: Write, where = ""): ArgumentsFor {
  const condition = [etagArgument(write.etag, where), write.firstWrite ? "1" : "", ttlArgument(write)];
  const bytes = asBuffer(write.bytes);
  const isAsked = write.isJson && asksForDocument(write.metadata);
  let text: Buffer | null | undefined;
  return (hasJson) => {
    if (!isAsked || !hasJson) return [...condition, "", bytes];
    if (text === undefined) text = documentText(bytes);
    return text === null ? [...condition, "", bytes] : [...condition, "1", text];
  };
}

/** As Dapr compares it: letter by letter (dapr-state-stores.md 2b). */
export function asksForDocument(metadata: Metadata): boolean {
  return metadata.contentType === "application/json";
}

/** The version that an ETag names, or "" for none. Throws etag-invalid. */
export function etagArgument(etag: string | null, where = ""): string {
  if (etag === null) return "";
  const version = canonicalVersion(etag);
  if (version === null) throw new StoreError("etag-invalid", `${where}an etag of redis is a whole number`);
  return version;
}

function ttlArgument(write: Write): string {
  return write.ttlSec === null ? "" : String(write.ttlSec);
}

/** ioredis would print any other view as a list of numbers. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
