// The rows of docs/differences.md that show over gRPC.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:http2";
import { encodeMessage } from "#proto/wire.ts";
import { Code } from "#sidecar/grpc/codes.ts";
import { GrpcClient } from "#test/wire/grpc-client.ts";
import { GET, getOf, item, SAVE, saveOf, TRANSACT, transactionOf } from "#test/wire/grpc-methods.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

describe("differences over gRPC", () => {
  let wire: WireSidecar;
  let client: GrpcClient;

  before(async () => {
    wire = await startWire({
      manifests: { "a.yaml": component("statestore", "state.in-memory") },
      settings: { apiToken: "token" },
    });
    client = new GrpcClient(`127.0.0.1:${wire.sidecar.grpcPort}`);
  });
  after(async () => {
    client.close();
    await wire.stop();
  });

  const withToken = { metadata: { "dapr-api-token": "token" } };

  it("G1: a conflict in a transaction is Aborted", async () => {
    const stale = transactionOf([["upsert", item("g1", { value: "1", etag: "stale" })]]);
    assert.equal((await client.fail(TRANSACT, stale, withToken)).code, "Aborted");
  });

  it("G2: a value that says JSON is kept as it came, and refused when it is none", async () => {
    const metadata = { contentType: "application/json" };
    const value = '{ "b": 12345678901234567890, "a": "<" }';
    await client.get(SAVE, saveOf([item("g2", { value, metadata })]), withToken);
    assert.equal(Buffer.from((await client.get(GET, getOf("g2"), withToken)).data).toString(), value);
    const broken = saveOf([item("g2", { value: "{", metadata })]);
    assert.equal((await client.fail(SAVE, broken, withToken)).code, "InvalidArgument");
  });

  it("G3: health is there and needs no token, reflection is there", async () => {
    const health = await client.ask({ ...GET, path: "/grpc.health.v1.Health/Check" }, { ...getOf(""), storeName: "" });
    assert.equal(health.failure, null);
    const reflection = { ...GET, path: "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo" };
    assert.notEqual((await client.ask(reflection, getOf("k"), withToken)).failure?.code, "Unimplemented");
  });

  it("G4: a method of an unknown service is Unimplemented", async () => {
    const { code } = await client.fail({ ...GET, path: "/no.such.Service/Method" }, getOf("k"), withToken);
    assert.equal(code, "Unimplemented");
  });

  it("G5: a client may ping as often as it likes", async () => {
    const session = connect(`http://127.0.0.1:${wire.sidecar.grpcPort}`);
    await once(session, "connect");
    for (let i = 0; i < 20; i++) {
      await new Promise<void>((resolve, reject) =>
        session.ping((error) => (error === null ? resolve() : reject(error))),
      );
    }
    assert.equal(session.closed, false);
    session.close();
  });

  it("G6: a long text of an error is cut", async () => {
    const { message } = await client.fail(GET, getOf(`||${"k".repeat(50_000)}`), withToken);
    assert.ok(message.length < 1600 && message.endsWith("…"));
  });

  it("G7: a client that takes no answer is refused further ones", async () => {
    const big = saveOf([item("g7", { value: "x".repeat(3 * 1024 * 1024) })]);
    await client.get(SAVE, big, withToken);
    const message = encodeMessage(GET.request, getOf("g7"));
    const framed = Buffer.concat([Buffer.alloc(5), message]);
    framed.writeUInt32BE(message.length, 1);
    const session = connect(`http://127.0.0.1:${wire.sidecar.grpcPort}`, { settings: { initialWindowSize: 0 } });
    const heads = await Promise.all(
      Array.from({ length: 30 }, async () => {
        const stream = session.request({
          ":method": "POST",
          ":path": GET.path,
          "content-type": "application/grpc",
          te: "trailers",
          "dapr-api-token": "token",
        });
        stream.end(framed);
        const [head] = await once(stream, "response");
        return head["grpc-status"];
      }),
    );
    session.destroy();
    const refused = heads.filter((status) => Number(status) === Code.ResourceExhausted).length;
    assert.equal(refused, 30 - Math.floor(64 / 3));
  });
});
