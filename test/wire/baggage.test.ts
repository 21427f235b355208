// `baggage` comes back as it came, or is refused (dapr-state-api.md 10.1).
import assert from "node:assert/strict";
import { ask, STORE } from "./client.ts";
import { GrpcClient } from "./grpc-client.ts";
import { GET, getOf } from "./grpc-methods.ts";
import { component, startWire, type WireSidecar } from "./sidecar.ts";

describe("baggage", () => {
  let wire: WireSidecar;

  before(async () => {
    wire = await startWire({ manifests: { "a.yaml": component("statestore", "state.in-memory") } });
  });
  after(() => wire.stop());

  const send = (baggage: string, path = `${STORE}/k`) => ask(wire, "GET", path, undefined, { baggage });

  it("comes back when it is valid", async () => {
    for (const baggage of ["a=b", "userId=alice, serverNode = DF%2028,isProduction=false;p;q=1", "a="]) {
      const { status, headers } = await send(baggage);
      assert.deepEqual([status, headers.baggage], [204, baggage]);
    }
  });

  it("is 400 when it is not", async () => {
    const long = `a=${"x".repeat(3000)},b=${"x".repeat(3000)},c=${"x".repeat(1000)}`;
    assert.equal((await send(long)).status, 204);
    for (const baggage of ["a", "=b", "a=b,,c=d", "a b=c", 'a="b"', "a=b c", "a=b;=", `${"a=b,".repeat(64)}a=b`]) {
      const { status, headers, text } = await send(baggage);
      assert.deepEqual([status, headers.baggage], [400, undefined], baggage);
      assert.match(text, /^header baggage: /);
    }
  });

  it("comes back over gRPC too, and is InvalidArgument when it is not valid", async () => {
    const client = new GrpcClient(`127.0.0.1:${wire.sidecar.grpcPort}`);
    const { headers } = await client.ask(GET, getOf("k"), { metadata: { baggage: "a=b" } });
    assert.deepEqual(headers.get("baggage"), ["a=b"]);
    const { failure } = await client.ask(GET, getOf("k"), { metadata: { baggage: "a" } });
    assert.equal(failure?.code, "InvalidArgument");
    client.close();
  });

  it("is nobody's business in a probe", async () => {
    assert.equal((await send("a", "/v1.0/healthz")).status, 204);
  });
});
