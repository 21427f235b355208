// Page tokens: where a walk goes on, told to a client and taken back. A token never sets the bounds of a walk: those are
// made anew from each request, and a token that was made for others is refused. Knows no route.
import { createHash } from "node:crypto";
import type { StoreEntry } from "./table.ts";

const VERSION = 1;
const CHECK_BYTES = 12;
const HEAD_BYTES: number = 1 + CHECK_BYTES;

/** What a token is good for: each text is part of its check. */
export type TokenSubject = readonly string[];

/**
 * The walk of one kind over one beginning of one application's keys. `kind` tells walks apart whose positions mean
 * different things; `more` is what else the walk depends on.
 */
export function tokenSubject(entry: StoreEntry, kind: string, prefix: string, ...more: string[]): TokenSubject {
  return [kind, entry.name, entry.type, entry.keyPrefix, entry.keyPrefix + prefix, ...more];
}

/** An opaque text for URLs that holds the position. */
export function makePageToken(subject: TokenSubject, position: string): string {
  const token = Buffer.concat([Buffer.of(VERSION), checkOf(subject, position), Buffer.from(position)]);
  return token.toString("base64url");
}

/** The position in a token; null when it was altered, cut, or made for another subject. */
export function readPageToken(subject: TokenSubject, token: string): string | null {
  const bytes = Buffer.from(token, "base64url");
  if (bytes.length < HEAD_BYTES || bytes[0] !== VERSION) return null;
  const position = bytes.toString("utf8", HEAD_BYTES);
  // Made once more, because the decoder passes over what is no base64 and so takes many spellings of one token.
  return makePageToken(subject, position) === token ? position : null;
}

/**
 * No secret is in it: every replica of an application must take the tokens of the others, and they share none. Whoever
 * makes a token by hand gets what the same request without one gives, from another place on (decisions/0007).
 */
function checkOf(subject: TokenSubject, position: string): Buffer {
  const hash = createHash("sha256")
    .update(JSON.stringify([VERSION, subject, position]))
    .digest();
  return hash.subarray(0, CHECK_BYTES);
}
