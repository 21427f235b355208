// What a write's metadata becomes on its blob, as Dapr does it (components-contrib, common/component/azure/blobstorage
// request.go): some names are properties of the blob, all others its metadata. Knows no request.
import { type Metadata, StoreError } from "../store.ts";

/** Names in lower case, with the header that sets the property. */
const PROPERTIES: Readonly<Record<string, string>> = {
  contenttype: "x-ms-blob-content-type",
  contentmd5: "x-ms-blob-content-md5",
  contentencoding: "x-ms-blob-content-encoding",
  contentlanguage: "x-ms-blob-content-language",
  contentdisposition: "x-ms-blob-content-disposition",
  cachecontrol: "x-ms-blob-cache-control",
};

const MD5_BYTES = 16;

/** The headers of a write. Throws a StoreError of code `refused` for a contentMD5 that is none. */
export function headersOf(metadata: Metadata): Record<string, string> {
  const headers: Record<string, string> = {};
  /** The service takes names that differ only in case for one. */
  const own = new Map<string, string>();
  for (const [name, value] of Object.entries(metadata)) {
    const property = PROPERTIES[name.toLowerCase()];
    if (property !== undefined && value !== "") {
      if (property === "x-ms-blob-content-md5") checkMd5(value);
      headers[property] = plain(value);
      continue;
    }
    const kept = name.replace(/[^A-Za-z\d]/g, "");
    if (!/^\d|^$/.test(kept)) own.set(kept.toLowerCase(), `${kept}:${plain(value)}`);
  }
  for (const pair of own.values()) {
    const colon = pair.indexOf(":");
    headers[`x-ms-meta-${pair.slice(0, colon)}`] = pair.slice(colon + 1);
  }
  return headers;
}

/** The characters that a header can hold. */
function plain(value: string): string {
  return value.replace(/[^\x20-\x7e]/g, "").trim();
}

function checkMd5(value: string): void {
  const md5 = Buffer.from(value, "base64");
  if (md5.length === MD5_BYTES && md5.toString("base64") === value) return;
  throw new StoreError("refused", "metadata contentMD5: want an MD5 of 16 bytes in base64");
}
