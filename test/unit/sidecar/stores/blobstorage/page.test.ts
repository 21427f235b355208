// A page of blobs as the service writes it, with names that XML has to spell.
import assert from "node:assert/strict";
import { readPage } from "#sidecar/stores/blobstorage/page.ts";

const blob = (name: string, bytes: number, attribute = ""): string =>
  `<Blob><Name${attribute}>${name}</Name><Properties><Etag>0x1</Etag><Content-Length>${bytes}</Content-Length></Properties></Blob>`;

const page = (blobs: string, next: string): string =>
  `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="https://a/" ContainerName="c"><Prefix>app||</Prefix><Delimiter>||</Delimiter><Blobs>${blobs}</Blobs>${next}</EnumerationResults>`;

describe("a page of a container's blobs", () => {
  it("tells names and sizes in the service's order, and where the next one begins", () => {
    const text = page(blob("app||b", 5) + blob("app||a", 0), "<NextMarker>2!8!a&amp;b</NextMarker>");
    assert.deepEqual(readPage(text), {
      blobs: [
        { name: "app||b", bytes: 5 },
        { name: "app||a", bytes: 0 },
      ],
      next: "2!8!a&b",
    });
  });

  it("has no next one where the marker is empty or not there", () => {
    assert.equal(readPage(page(blob("a", 1), "<NextMarker />"))?.next, "");
    assert.equal(readPage(page("", "<NextMarker></NextMarker>"))?.next, "");
    assert.deepEqual(readPage(page("", "")), { blobs: [], next: "" });
  });

  it("reads names that XML spells, or that come encoded because it cannot", () => {
    const text = page(
      blob("a&lt;Blob&gt;&amp;lt;&quot;&apos;&#xD;&#10;&#x1F9FA;", 1) + blob("a%EF%BF%BFb%25", 2, ' Encoded="true"'),
      "",
    );
    assert.deepEqual(
      readPage(text)?.blobs.map(({ name }) => name),
      ["a<Blob>&lt;\"'\r\n\u{1f9fa}", "a\uffffb%"],
    );
  });

  it("is none where something else answers, or the text is cut", () => {
    for (const text of ["", "<html>Sign in first</html>", page(blob("a", 1), "").slice(0, -5)])
      assert.equal(readPage(text), null, text);
  });

  it("passes over what stands for names behind the delimiter", () => {
    const text = page(`<BlobPrefix><Name>app||cat||</Name></BlobPrefix>${blob("app||a", 1)}`, "");
    assert.deepEqual(readPage(text)?.blobs, [{ name: "app||a", bytes: 1 }]);
  });
});
