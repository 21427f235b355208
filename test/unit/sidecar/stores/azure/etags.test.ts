// Which ETags are sent to a storage service, and which cannot be one of its own.
import assert from "node:assert/strict";
import { checkEtag } from "#sidecar/stores/azure/etags.ts";

const QUOTED = { head: '"', tail: '"' };

describe("an ETag of a storage service", () => {
  it("is sent when the service could have made it", () => {
    for (const etag of ['"0x8DC000000000000"', '"1"']) checkEtag(etag, QUOTED);
    checkEtag("W/\"datetime'2026-01-01T00%3A00%3A00.0Z'\"", { head: "W/\"datetime'", tail: "'\"" });
  });

  it("is another one, and never sent, when HTTP would read it as something else", () => {
    const texts = ["*", "0x1", '"0x1', '0x1"', '"', '""', '"a","b"', '"a b"', '"a\nb"', '""a""', ' "a"', '"é"'];
    for (const etag of [...texts, `"${"a".repeat(300)}"`])
      assert.throws(() => checkEtag(etag, QUOTED), { code: "etag-mismatch" }, etag);
  });
});
