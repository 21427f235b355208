// Signatures by the key of a storage account, as Azure's documents describe them under "Authorize with Shared Key". Sends
// nothing.
import { createHmac } from "node:crypto";

export interface AccountKey {
  readonly account: string;
  readonly key: Buffer;
}

/** What is signed of a request. */
export interface Signed {
  readonly method: string;
  /** Of the URL, as it is sent. */
  readonly path: string;
  /** Not encoded. */
  readonly query: ReadonlyMap<string, string>;
  /** By names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly bodyBytes: number;
}

/** The value of the header Authorization, or null where the URL carries the right. */
export type Sign = (signed: Signed) => string;

/** The bytes of a key as Azure shows it, in base64; null for what is none. */
export function readKey(text: string): Buffer | null {
  const key = Buffer.from(text, "base64");
  return key.length > 0 && key.toString("base64") === text.trim() ? key : null;
}

/** Headers that are signed by their place, empty where there are none, behind the method and before those of Azure's own. */
const PLACES = [
  "content-encoding",
  "content-language",
  "content-length",
  "content-md5",
  "content-type",
  "date",
  "if-modified-since",
  "if-match",
  "if-none-match",
  "if-unmodified-since",
  "range",
] as const;

/** For blobs: "Shared Key", which signs the headers and all of the URL. */
export function blobSign({ account, key }: AccountKey): Sign {
  return ({ method, path, query, headers, bodyBytes }) => {
    const placed = PLACES.map((name) =>
      name === "content-length" ? (bodyBytes === 0 ? "" : String(bodyBytes)) : (headers.get(name) ?? ""),
    );
    const own = [...headers].filter(([name]) => name.startsWith("x-ms-"));
    const lines = [method, ...placed, ...sorted(own), `/${account}${path}`, ...sorted([...query])];
    return `SharedKey ${account}:${signature(key, lines)}`;
  };
}

/** For tables: "Shared Key Lite", which signs the hour and the path. Nothing of this driver asks by `comp`. */
export function tableSign({ account, key }: AccountKey): Sign {
  return ({ path, headers }) => {
    const lines = [headers.get("x-ms-date") ?? "", `/${account}${path}`];
    return `SharedKeyLite ${account}:${signature(key, lines)}`;
  };
}

/** By names alone: with the colon behind it "a1" would come before "a". */
function sorted(pairs: readonly (readonly [string, string])[]): readonly string[] {
  return pairs.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => `${name}:${value}`);
}

function signature(key: Buffer, lines: readonly string[]): string {
  return createHmac("sha256", key).update(lines.join("\n")).digest("base64");
}
