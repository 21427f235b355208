// A page of a container's blobs out of the service's XML. It is all that this driver reads of XML, so it looks for the few
// elements by their names: inside of texts there is no "<". Knows no key.

export interface ListedBlob {
  readonly name: string;
  readonly bytes: number;
}

export interface BlobPage {
  /** In the service's order. */
  readonly blobs: readonly ListedBlob[];
  /** For the next page; "" after the last one. */
  readonly next: string;
}

const ROOT_END = "</EnumerationResults>";

/** Null for a text that is no page: it would read as an empty one, and as the last. */
export function readPage(xml: string): BlobPage | null {
  if (!xml.includes(ROOT_END)) return null;
  const blobs: ListedBlob[] = [];
  for (let at = xml.indexOf("<Blob>"); at >= 0; at = xml.indexOf("<Blob>", at + 1)) {
    const end = xml.indexOf("</Blob>", at);
    const blob = xml.slice(at, end);
    blobs.push({ name: nameIn(blob), bytes: Number(between(blob, "<Content-Length>", "</Content-Length>")) });
  }
  return { blobs, next: decode(between(xml, "<NextMarker>", "</NextMarker>")) };
}

const ENCODED = '<Name Encoded="true">';

/** Characters that XML cannot hold come percent-encoded. */
function nameIn(blob: string): string {
  if (blob.includes(ENCODED)) return decodeURIComponent(decode(between(blob, ENCODED, "</Name>")));
  return decode(between(blob, "<Name>", "</Name>"));
}

/** "" where there is no such element. */
function between(text: string, opening: string, closing: string): string {
  const start = text.indexOf(opening);
  if (start < 0) return "";
  return text.slice(start + opening.length, text.indexOf(closing, start));
}

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function decode(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(/&(?:#x([\da-fA-F]+)|#(\d+)|(\w+));/g, (all, hex?: string, decimal?: string, name?: string) => {
    if (name !== undefined) return ENTITIES[name] ?? all;
    return String.fromCodePoint(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16));
  });
}
