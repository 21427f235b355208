// What of an ETag can be sent to one of Azure's storage services, and which answers mean that the value is another one.
// Knows no request.
import { StoreError } from "../store.ts";

/** An ETag is never longer; a header could be. */
const LENGTH_MAX = 200;
const QUOTE = 0x22;
const FIRST_VISIBLE = 0x21;
const LAST_VISIBLE = 0x7e;

/** What stands before and behind what is different in each ETag of a service. */
export interface EtagShape {
  readonly head: string;
  readonly tail: string;
}

/**
 * Throws etag-mismatch for a text that the service never makes: it begins with `head`, ends with `tail` and has neither
 * quotes nor spaces between them. Others must not be sent, for HTTP has meanings of its own for `*`, lists and spaces.
 * `place` as in {@link otherEtag}.
 */
export function checkEtag(etag: string, { head, tail }: EtagShape, place = ""): void {
  const shaped = etag.length <= LENGTH_MAX && etag.length > head.length + tail.length;
  if (!shaped || !etag.startsWith(head) || !etag.endsWith(tail)) throw otherEtag(place);
  for (let at = head.length; at < etag.length - tail.length; at++) {
    const code = etag.charCodeAt(at);
    if (code < FIRST_VISIBLE || code > LAST_VISIBLE || code === QUOTE) throw otherEtag(place);
  }
}

/** `place` is "change 2 of 3: ", or nothing for a change that is alone. */
export function otherEtag(place = ""): StoreError {
  return new StoreError("etag-mismatch", `${place}the value has another etag than the one passed`);
}

export function noValue(place = ""): StoreError {
  return new StoreError("etag-mismatch", `${place}there is no value under the key`);
}

export function valueExists(place = ""): StoreError {
  return new StoreError("etag-mismatch", `${place}item already exists and no etag was passed`);
}
