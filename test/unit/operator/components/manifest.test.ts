import assert from "node:assert/strict";
import { boundedContent, RESOURCE_BYTES_MAX } from "#operator/components/manifest.ts";
import { type Bench, startBench } from "./bench.ts";

const metadata = { name: "a", namespace: "shop", uid: "a-1", resourceVersion: "1", generation: 1 };
const big = { type: "state.redis", version: "v1", metadata: [{ name: "x", value: "y".repeat(RESOURCE_BYTES_MAX) }] };

describe("a resource that is too large", () => {
  let bench: Bench;

  beforeEach(async () => {
    bench = await startBench();
  });
  afterEach(() => bench.close());

  it("is kept as its type, its status and its size", () => {
    const { oversizedBytes = 0, ...rest } = boundedContent({ metadata, spec: big, scopes: ["app"], status: { a: 1 } });
    assert.deepEqual(rest, { spec: { type: "state.redis" }, status: { a: 1 } });
    assert.ok(oversizedBytes > RESOURCE_BYTES_MAX);
    const small = { spec: { type: "state.redis" }, auth: { secretStore: "" }, scopes: [] };
    assert.deepEqual(boundedContent({ metadata, ...small }), small);
  });

  it("says so on its status, and leaves sidecars what they have", async () => {
    await bench.put({ name: "a", type: "state.in-memory" });
    const given = [...bench.table.of("shop")];
    bench.components.put({ metadata: { ...metadata, generation: 2 }, ...boundedContent({ metadata, spec: big }) });
    await bench.rest();
    await bench.clock.advance(2000);
    await bench.rest();
    assert.deepEqual([...bench.table.of("shop")], given);
    const { status, message = "" } = bench.condition("MetadataValid", "a") ?? {};
    assert.equal(status, "False");
    assert.match(message, /spec: got "\d+ bytes", want at most 262144 bytes/);
  });
});
