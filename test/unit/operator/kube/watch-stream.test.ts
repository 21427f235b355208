import assert from "node:assert/strict";
import fc from "fast-check";
import { KubeError } from "#operator/kube/client.ts";
import { BrokenWatch, type WatchEvent, watchEvents } from "#operator/kube/watch-stream.ts";
import { objectAt } from "./scripted-client.ts";

async function* inParts(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  let start = 0;
  for (let turn = 0; start < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? bytes.length;
    yield bytes.subarray(start, start + size);
    start += size;
  }
}

function eventsOf(text: string, sizes: readonly number[] = [1e6], lineBytesMax?: number): Promise<WatchEvent[]> {
  return Array.fromAsync(watchEvents(inParts(Buffer.from(text), sizes), lineBytesMax));
}

describe("watch stream", () => {
  it("gives the same events however the bytes are cut into chunks", async () => {
    const objects = ["a", "b", "c"].map((name) => objectAt(name, "1", { labels: { text: "zwölf € 𝄞\n" } }));
    const text = objects.map((object) => `${JSON.stringify({ type: "ADDED", object })}\n`).join("");
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }), async (sizes) => {
        const events = await eventsOf(text, sizes);
        assert.deepEqual(
          events,
          objects.map((object) => ({ type: "ADDED", object })),
        );
      }),
      { numRuns: 50 },
    );
  });

  it("drops half a line at the end and empty lines", async () => {
    const line = JSON.stringify({ type: "DELETED", object: objectAt("a", "1") });
    assert.equal((await eventsOf(`\n${line}\n\n${line.slice(0, -1)}`)).length, 1);
  });

  it("takes no line beyond its limit, whole or in parts", async () => {
    const line = JSON.stringify({ type: "ADDED", object: objectAt("a", "1") });
    assert.equal((await eventsOf(`${line}\n`, [10], line.length)).length, 1);
    for (const sizes of [[1e6], [10]]) {
      await assert.rejects(eventsOf(`${line}\n`, sizes, line.length - 1), BrokenWatch);
    }
  });

  it("turns an ERROR event into the error that the status would be", async () => {
    const object = { kind: "Status", code: 410, reason: "Expired", message: "too old" };
    await assert.rejects(eventsOf(`${JSON.stringify({ type: "ERROR", object })}\n`), (error) => {
      assert.ok(error instanceof KubeError);
      assert.deepEqual([error.status, error.reason], [410, "Expired"]);
      return true;
    });
    await assert.rejects(eventsOf('{"type":"ERROR"}\n'), KubeError);
  });

  it("quotes nothing of what it cannot read", async () => {
    const secret = '{"type":"ADDED","object":{"data":"s3cret"}}';
    for (const text of [`${secret.slice(0, -1)}\n`, `${secret}\n`, '"s3cret"\n', '{"type":"s3cret"}\n']) {
      await assert.rejects(eventsOf(text), (error) => {
        assert.ok(error instanceof BrokenWatch);
        assert.doesNotMatch(`${error.message}${String(error.cause)}`, /s3cret/);
        return true;
      });
    }
  });
});
