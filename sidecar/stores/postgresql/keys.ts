// What a key of the tables can be, so that each call refuses the same keys with the same words. Knows no statement.
import { StoreError } from "../store.ts";
import { KEY_BYTES_MAX } from "./layout.ts";

/** What a text of PostgreSQL can hold; another key would meet with the key that it is turned into. */
export function isText(key: string): boolean {
  return !key.includes("\0") && key.isWellFormed();
}

/** Throws a StoreError of code `refused`; for the beginning of a key too. */
export function mustBeText(key: string): void {
  if (!isText(key)) throw noText();
}

/** For a key that is written: before the server would refuse it, or take it because it can be compressed. */
export function mustFit(key: string): void {
  mustBeText(key);
  if (Buffer.byteLength(key) > KEY_BYTES_MAX)
    throw new StoreError(
      "refused",
      `a key of more than ${KEY_BYTES_MAX} bytes does not fit into the index of the table`,
    );
}

export function noText(): StoreError {
  return new StoreError(
    "refused",
    "the key holds U+0000 or half a surrogate pair, which a text of postgresql cannot hold",
  );
}
