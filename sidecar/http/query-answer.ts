// The answer of a query that found something (dapr-state-api.md 1.15). Values stand in it as in a bulk get: with their
// exact bytes when they are JSON, and not copied.
import type { QueryAnswer, QueryRow } from "../state/query/run.ts";
import { ENCODING_NAME, writeData } from "./bulk-answer.ts";
import { goJson } from "./errors.ts";

const NULL = Buffer.from("null");

/** The body in pieces. Not for an answer without rows: that one has no body. */
export function writeQueryAnswer({ rows, token }: QueryAnswer): readonly Buffer[] {
  const pieces: Buffer[] = [];
  for (const [index, row] of rows.entries()) {
    pieces.push(Buffer.from(index === 0 ? '{"results":[' : ","));
    writeRow(pieces, row);
  }
  pieces.push(Buffer.from(token === null ? "]}" : `],"token":${goJson(token)}}`));
  return pieces;
}

/** `data` is there always; an empty value is null. */
function writeRow(pieces: Buffer[], { key, found }: QueryRow): void {
  pieces.push(Buffer.from(`{"key":${goJson(key)},"data":`));
  const isEmpty = found.bytes.length === 0;
  if (isEmpty) pieces.push(NULL);
  const form = isEmpty ? "json" : writeData(pieces, found.bytes);
  if (found.etag !== null) pieces.push(Buffer.from(`,"etag":${goJson(found.etag)}`));
  pieces.push(Buffer.from(form === "base64" ? `,"metadata":${goJson({ [ENCODING_NAME]: "base64" })}}` : "}"));
}
