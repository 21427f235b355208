// ETags as Cosmos DB makes them, and the conflicts that conditions end in. Knows no request.
import { StoreError } from "../store.ts";

/** `place` is "change 2 of 3: ", or nothing for a change that is alone. */
export function mismatch(place = ""): StoreError {
  return new StoreError("etag-mismatch", `${place}the value has another etag than the one passed`);
}

export function missing(place = ""): StoreError {
  return new StoreError("etag-mismatch", `${place}there is no value under the key, or it has expired`);
}

export function exists(place = ""): StoreError {
  return new StoreError("etag-mismatch", `${place}item already exists and no etag was passed`);
}

const ETAG_CHARACTERS_MAX = 256;

/**
 * Whether a text can be an ETag of the server: letters, digits and dashes, in quotes or not. In the header If-Match other
 * texts would mean something else: a star any document, a comma a list.
 */
export function isEtag(etag: string): boolean {
  const isQuoted = etag.length > 2 && etag.startsWith('"') && etag.endsWith('"');
  const [from, to] = isQuoted ? [1, etag.length - 1] : [0, etag.length];
  if (etag.length > ETAG_CHARACTERS_MAX || to <= from) return false;
  for (let at = from; at < to; at++) if (!isEtagCharacter(etag.charCodeAt(at))) return false;
  return true;
}

function isEtagCharacter(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a) || code === 0x2d
  );
}
