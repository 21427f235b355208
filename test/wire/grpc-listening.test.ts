// Where the gRPC API listens, and how it goes: ports, unix sockets, draining.
import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GrpcClient } from "./grpc-client.ts";
import { GET, getOf, item, SAVE, STORE_NAME, saveOf } from "./grpc-methods.ts";
import { component, startWire, type WireSidecar } from "./sidecar.ts";
import { until } from "./until.ts";

const manifests = { "a.yaml": component(STORE_NAME, "state.in-memory") };

/** Makes reads of the store wait for `go`, whatever their signal says; tells when one has begun. */
function holdReads(wire: WireSidecar): { begun: Promise<void>; go: () => void } {
  const begun = Promise.withResolvers<void>();
  const go = Promise.withResolvers<null>();
  for (const entry of wire.sidecar.stores.all()) {
    entry.store.get = () => {
      begun.resolve();
      return go.promise;
    };
  }
  return { begun: begun.promise, go: () => go.resolve(null) };
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

async function hasIpv6(): Promise<boolean> {
  const server = createServer();
  const isThere = await new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(0, "::1", () => resolve(true));
  });
  server.close();
  return isThere;
}

describe("the gRPC port", () => {
  it("is one for all addresses, and they share their stores", async () => {
    const listenAddresses = (await hasIpv6()) ? ["127.0.0.1", "::1"] : ["127.0.0.1"];
    const wire = await startWire({ manifests, settings: { listenAddresses } });
    const port = wire.sidecar.grpcPort;
    const clients = listenAddresses.map(
      (address) => new GrpcClient(address === "::1" ? `[::1]:${port}` : `${address}:${port}`),
    );
    try {
      for (const client of clients) await client.get(SAVE, saveOf([item("k", { value: "v" })]));
      for (const client of clients) assert.equal(Buffer.from((await client.get(GET, getOf("k"))).data).toString(), "v");
    } finally {
      for (const client of clients) client.close();
      await wire.stop();
    }
  });

  it("that is taken is told by number and purpose, and leaves nothing open", async () => {
    const wire = await startWire({ manifests });
    try {
      const { grpcPort } = wire.sidecar;
      await assert.rejects(startWire({ manifests, settings: { grpcPort } }), {
        name: "ListenError",
        code: "EADDRINUSE",
        message: `could not listen for the gRPC API on 127.0.0.1 port ${grpcPort}: the port is taken by another process`,
      });
    } finally {
      await wire.stop();
    }
  });

  it("ends a connection that does not speak HTTP/2, and goes on", async () => {
    const wire = await startWire({ manifests });
    const client = new GrpcClient(`127.0.0.1:${wire.sidecar.grpcPort}`);
    try {
      const socket = connect(wire.sidecar.grpcPort, "127.0.0.1", () => socket.write("GET / HTTP/1.1\r\n\r\n"));
      socket.on("error", () => undefined);
      socket.resume();
      await new Promise((resolve) => socket.once("close", resolve));
      await client.get(GET, getOf("k"));
    } finally {
      client.close();
      await wire.stop();
    }
  });
});

describe("the gRPC unix socket", () => {
  it("serves, while the port does not, and goes at the end", async () => {
    const folder = await mkdtemp(join(tmpdir(), "pannier-grpc-"));
    const wire = await startWire({ manifests, settings: { unixSocketFolder: folder } });
    const path = join(folder, "dapr-wire-grpc.socket");
    assert.deepEqual([wire.sidecar.grpcPort, wire.sidecar.grpcSocket], [0, path]);
    const client = new GrpcClient(`unix:${path}`);
    try {
      await client.get(SAVE, saveOf([item("k", { value: "v" })]));
      assert.equal(Buffer.from((await client.get(GET, getOf("k"))).data).toString(), "v");
    } finally {
      client.close();
      await wire.stop();
    }
    assert.deepEqual(await readdir(folder), []);
    await rm(folder, { recursive: true });
  });
});

describe("draining the gRPC API", () => {
  it("answers calls under way, and takes no new connection", async () => {
    const wire = await startWire({ manifests });
    const { grpcPort } = wire.sidecar;
    const client = new GrpcClient(`127.0.0.1:${grpcPort}`);
    const { begun, go } = holdReads(wire);
    const answer = client.ask(GET, getOf("k"));
    await begun;
    const stopping = wire.stop();
    await until("nobody listens any more", async () => !(await canConnect(grpcPort)));
    go();
    assert.equal((await answer).failure, null);
    await stopping;
    client.close();
  });

  it("ends idle connections without waiting for the drain time", async () => {
    const wire = await startWire({ manifests, settings: { drainMs: 3_600_000 } });
    const client = new GrpcClient(`127.0.0.1:${wire.sidecar.grpcPort}`);
    await client.get(GET, getOf("k"));
    await wire.stop();
    client.close();
  });

  it("cuts what is left when the drain time is over", async () => {
    const wire = await startWire({ manifests, settings: { drainMs: 300 } });
    const client = new GrpcClient(`127.0.0.1:${wire.sidecar.grpcPort}`);
    const { begun, go } = holdReads(wire);
    const answer = client.ask(GET, getOf("k"));
    await begun;
    const stopping = wire.stop();
    const { failure } = await answer;
    assert.ok(failure !== null && ["Unavailable", "Canceled"].includes(failure.code), JSON.stringify(failure));
    go();
    await stopping;
    client.close();
  });
});
