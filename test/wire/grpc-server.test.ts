// The gRPC server around its methods: token, limits, cancellation, health, reflection, what is not there, logs, metrics.
import assert from "node:assert/strict";
import { connect, constants } from "node:http2";
import {
  HealthCheckRequest,
  HealthCheckResponse,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "#proto/gen/grpc/health/v1/health.ts";
import { ServerReflectionRequest, ServerReflectionResponse } from "#proto/gen/grpc/reflection/v1/reflection.ts";
import { decodeMessage, encodeMessage } from "#proto/wire.ts";
import { StoreError } from "#sidecar/stores/store.ts";
import { type Failure, GrpcClient, type Method, toFailure } from "./grpc-client.ts";
import { BULK_GET, GET, getOf, item, SAVE, STORE_NAME, saveOf } from "./grpc-methods.ts";
import { component, startWire, type WireOptions, type WireSidecar } from "./sidecar.ts";
import { until } from "./until.ts";

const manifests = { "a.yaml": component(STORE_NAME, "state.in-memory") };
const CHECK: Method<HealthCheckRequest, HealthCheckResponse> = {
  path: "/grpc.health.v1.Health/Check",
  request: HealthCheckRequest,
  response: HealthCheckResponse,
};

/** Runs a test against a sidecar and a client of its own. */
async function over(
  options: Partial<WireOptions>,
  test: (wire: WireSidecar, client: GrpcClient) => Promise<void>,
): Promise<void> {
  const wire = await startWire({ manifests, ...options });
  const client = new GrpcClient(`127.0.0.1:${wire.sidecar.grpcPort}`);
  try {
    await test(wire, client);
  } finally {
    client.close();
    await wire.stop();
  }
}

/** Makes reads of the store wait until the call's signal aborts or `go` is called; tells when one has begun. */
function holdReads(wire: WireSidecar): { begun: Promise<void>; ended: Promise<string>; go: () => void } {
  const begun = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<string>();
  const go = Promise.withResolvers<null>();
  const [entry] = [...wire.sidecar.stores.all()];
  assert.ok(entry !== undefined);
  entry.store.get = (_key, _read, { signal }) => {
    begun.resolve();
    const left = Promise.withResolvers<null>();
    signal.addEventListener("abort", () => {
      ended.resolve(String(signal.reason));
      left.reject(new StoreError("timeout", "the caller left"));
    });
    return Promise.race([left.promise, go.promise]);
  };
  return { begun: begun.promise, ended: ended.promise, go: () => go.resolve(null) };
}

async function metric(wire: WireSidecar, start: string): Promise<string[]> {
  const { text } = await wire.ask("GET", "/", { port: wire.sidecar.metricsPort ?? 0 });
  return text.split("\n").filter((line) => line.startsWith(start));
}

async function isCounted(wire: WireSidecar, status: string): Promise<boolean> {
  const lines = await metric(wire, "dapr_grpc_io_server_completed_rpcs{");
  return lines.some((line) => line.includes(`grpc_server_status="${status}"`));
}

describe("the API token over gRPC", () => {
  const settings = { apiToken: "s3cret-token" };
  const refused = (error: string): Failure => {
    const metadata = { "http.code": "401", "http.error_message": error };
    const details = [{ "@type": "ErrorInfo", reason: "Unauthorized", domain: "dapr.io", metadata }];
    return { code: "Unauthenticated", message: "Unauthorized", details };
  };

  it("is asked for, also where there is no method", () =>
    over({ settings }, async (_wire, client) => {
      for (const method of [GET, { ...GET, path: "/no.such.Service/Method" }]) {
        const missing = refused("missing api token in request metadata");
        assert.deepEqual(await client.fail(method, getOf("k")), missing);
        const wrong = refused("authentication error: api token mismatch");
        assert.deepEqual(await client.fail(method, getOf("k"), { metadata: { "dapr-api-token": "wrong" } }), wrong);
      }
      await client.get(GET, getOf("k"), { metadata: { "dapr-api-token": "s3cret-token" } });
    }));

  it("is not asked for by health, since probes have none", () =>
    over({ settings }, async (_wire, client) => {
      assert.equal((await client.get(CHECK, { service: "" })).status, ServingStatus.SERVING);
    }));

  it("never comes into the log", () =>
    over({ settings: { ...settings, apiLogging: true, logLevel: "debug" } }, async (wire, client) => {
      await client.ask(GET, getOf("k"), { metadata: { "dapr-api-token": "s3cret-token" } });
      assert.ok(wire.log.join("").includes("gRPC API Called"));
      assert.ok(!wire.log.join("").includes("s3cret-token"));
    }));
});

describe("a method that is not there", () => {
  it("is Unimplemented, with a sentence where Dapr has it", () =>
    over({}, async (_wire, client) => {
      for (const name of ["PublishEvent", "InvokeService", "NoSuchMethod"]) {
        const { code, message } = await client.fail(
          { ...GET, path: `/dapr.proto.runtime.v1.Dapr/${name}` },
          getOf("k"),
        );
        assert.deepEqual(
          [code, message],
          [
            "Unimplemented",
            `Pannier serves the state API of Dapr and has no ${name}; what it has is in docs/grpc-api.md`,
          ],
        );
      }
      const other = await client.fail({ ...GET, path: "/no.such.Service/Method" }, getOf("k"));
      assert.deepEqual(other, {
        code: "Unimplemented",
        message: "there is no method /no.such.Service/Method here",
        details: [],
      });
    }));
});

describe("messages over gRPC", () => {
  const settings = { bodyBytesMax: 10_000 };

  it("may have exactly the bytes of the limit, and not one more", () =>
    over({ settings }, async (wire, client) => {
      const overhead = encodeMessage(SAVE.request, saveOf([item("k", { value: Buffer.alloc(9_000) })])).length - 9_000;
      await client.get(SAVE, saveOf([item("k", { value: Buffer.alloc(10_000 - overhead) })]));
      const { code } = await client.fail(SAVE, saveOf([item("k", { value: Buffer.alloc(10_001 - overhead) })]));
      assert.equal(code, "ResourceExhausted");
      assert.equal((await wire.ask("GET", "/v1.0/state/statestore/k")).bytes.length, 10_000 - overhead);
    }));

  it("are limited on their way back too", () =>
    over({ settings }, async (_wire, client) => {
      for (const key of ["a", "b"]) await client.get(SAVE, saveOf([item(key, { value: Buffer.alloc(6_000) })]));
      const bulk = { storeName: STORE_NAME, keys: ["a", "b"], parallelism: 0, metadata: {} };
      const { code, message } = await client.fail(BULK_GET, bulk);
      assert.equal(code, "ResourceExhausted");
      assert.match(message, /^the values have 12000 bytes together, an answer has at most 10000/);
      await client.get(BULK_GET, { ...bulk, keys: ["a"] });
    }));

  it("are limited on their way back when HTTP has saved more than gRPC can carry", () =>
    over({ settings }, async (wire, client) => {
      // The request's 10,000 bytes are as many as allowed; with its ETag the value is more.
      const empty = JSON.stringify([{ key: "k", value: "" }]);
      const body = empty.replace('""', `"${"x".repeat(10_000 - empty.length)}"`);
      assert.equal((await wire.ask("POST", "/v1.0/state/statestore", { body })).status, 204);
      const { code, message } = await client.fail(GET, getOf("k"));
      assert.equal(code, "ResourceExhausted");
      assert.match(message, /^the answer has \d+ bytes, more than the 10000 of --max-body-size$/);
    }));

  it("may have any size without a limit", () =>
    over({ settings: { bodyBytesMax: 0 } }, async (_wire, client) => {
      const value = Buffer.alloc(6 * 1024 * 1024, 3);
      await client.get(SAVE, saveOf([item("k", { value })]));
      assert.equal((await client.get(GET, getOf("k"))).data.length, value.length);
    }));

  it("come with a header list of at most --read-buffer-size", () =>
    over({ settings: { headerBytesMax: 2048 } }, async (wire) => {
      const session = connect(`http://127.0.0.1:${wire.sidecar.grpcPort}`);
      await new Promise<void>((resolve) => session.once("remoteSettings", () => resolve()));
      const { maxHeaderListSize, maxConcurrentStreams } = session.remoteSettings;
      assert.deepEqual([maxHeaderListSize, maxConcurrentStreams], [2048, 250]);
      const headers = { ":method": "POST", ":path": GET.path, "content-type": "application/grpc", te: "trailers" };
      const stream = session.request({ ...headers, "x-long": "y".repeat(3000) });
      const code = await new Promise<number | undefined>((resolve) => {
        stream.on("error", () => undefined);
        stream.on("close", () => resolve(stream.rstCode));
      });
      assert.equal(code, constants.NGHTTP2_ENHANCE_YOUR_CALM);
      session.close();
    }));
});

describe("a call that ends early", () => {
  it("by its client's doing, ends the store's call, and counts as Canceled", () =>
    over({}, async (wire, client) => {
      const { begun, ended } = holdReads(wire);
      const abort = new AbortController();
      const failing = client.fail(GET, getOf("k"), { signal: abort.signal });
      await begun;
      abort.abort();
      assert.equal((await failing).code, "Canceled");
      assert.match(await ended, /the client left/);
      await until("it is counted", () => isCounted(wire, "Canceled"));
    }));

  it("at its deadline, ends the store's call, and counts as DeadlineExceeded", () =>
    over({}, async (wire, client) => {
      // Over a connection that is there: the call must come to the server within its time.
      await client.get(CHECK, { service: "" });
      const { ended } = holdReads(wire);
      const { code } = await client.fail(GET, getOf("k"), { deadline: new Date(Date.now() + 2000) });
      assert.equal(code, "DeadlineExceeded");
      await ended;
      await until("it is counted", () => isCounted(wire, "DeadlineExceeded"));
    }));
});

describe("health over gRPC", () => {
  it("serves as a whole and for each service, and knows no other", () =>
    over({}, async (_wire, client) => {
      for (const service of ["", "dapr.proto.runtime.v1.Dapr", "pannier.v1.State"]) {
        assert.equal((await client.get(CHECK, { service })).status, ServingStatus.SERVING);
      }
      const { code } = await client.fail(CHECK, { service: "no.such.Service" });
      assert.equal(code, "NotFound");
    }));

  it("tells who watches that the sidecar drains, and Check then says NOT_SERVING", async () => {
    const wire = await startWire({ manifests });
    const client = new GrpcClient(`127.0.0.1:${wire.sidecar.grpcPort}`);
    const seen: number[] = [];
    const watch = client.library.makeServerStreamRequest(
      "/grpc.health.v1.Health/Watch",
      (value: HealthCheckRequest) => Buffer.from(encodeMessage(HealthCheckRequest, value)),
      (bytes: Buffer) => decodeMessage(HealthCheckResponse, bytes),
      { service: "" },
    );
    const ended = new Promise<Failure>((resolve) => watch.on("error", (error) => resolve(toFailure(error as never))));
    watch.on("data", ({ status }: HealthCheckResponse) => seen.push(status));
    await until("the watch tells the status", () => seen.length === 1);
    const stopping = wire.stop();
    await until("the watch tells of the drain", () => seen.length === 2);
    const check = await client.ask(CHECK, { service: "" });
    assert.equal(check.answer?.status, ServingStatus.NOT_SERVING);
    assert.deepEqual(seen, [ServingStatus.SERVING, ServingStatus.NOT_SERVING]);
    assert.equal((await ended).code, "Unavailable");
    client.close();
    await stopping;
  });

  it("tells who watches a service that is not there that it is not", () =>
    over({}, async (_wire, client) => {
      const watch = client.library.makeServerStreamRequest(
        "/grpc.health.v1.Health/Watch",
        (value: HealthCheckRequest) => Buffer.from(encodeMessage(HealthCheckRequest, value)),
        (bytes: Buffer) => decodeMessage(HealthCheckResponse, bytes),
        { service: "no.such.Service" },
      );
      watch.on("error", () => undefined);
      const status = await new Promise((resolve) =>
        watch.once("data", (each: HealthCheckResponse) => resolve(each.status)),
      );
      assert.equal(status, ServingStatus.SERVICE_UNKNOWN);
      watch.cancel();
    }));
});

describe("reflection", () => {
  type Asked = NonNullable<ServerReflectionRequest["messageRequest"]>;

  async function reflect(client: GrpcClient, version: string, asked: readonly Asked[]) {
    const stream = client.library.makeBidiStreamRequest(
      `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
      (value: ServerReflectionRequest) => Buffer.from(encodeMessage(ServerReflectionRequest, value)),
      (bytes: Buffer) => decodeMessage(ServerReflectionResponse, bytes),
    );
    for (const messageRequest of asked) stream.write({ host: "h", messageRequest });
    stream.end();
    const answers: ServerReflectionResponse[] = [];
    for await (const answer of stream) answers.push(answer);
    return answers.map(({ messageResponse }) => messageResponse);
  }

  for (const version of ["v1", "v1alpha"]) {
    it(`${version} lists the services`, () =>
      over({}, async (_wire, client) => {
        const [answer] = await reflect(client, version, [{ $case: "listServices", listServices: "*" }]);
        assert.equal(answer?.$case, "listServicesResponse");
        const names = answer.listServicesResponse.service.map(({ name }) => name).sort();
        assert.deepEqual(names, [
          "dapr.proto.runtime.v1.Dapr",
          "grpc.health.v1.Health",
          "grpc.reflection.v1.ServerReflection",
          "grpc.reflection.v1alpha.ServerReflection",
          "pannier.v1.State",
        ]);
      }));
  }

  it("gives the file of a symbol with all that it imports, once each", () =>
    over({}, async (_wire, client) => {
      const asked = [
        "dapr.proto.runtime.v1.Dapr",
        "dapr.proto.runtime.v1.Dapr.GetState",
        "dapr.proto.common.v1.StateOptions.StateConsistency",
      ];
      const answers = await reflect(
        client,
        "v1",
        asked.map((symbol) => ({ $case: "fileContainingSymbol", fileContainingSymbol: symbol })),
      );
      const counts = answers.map((answer) =>
        answer?.$case === "fileDescriptorResponse" ? answer.fileDescriptorResponse.fileDescriptorProto.length : 0,
      );
      // dapr, actors, metadata, state, common, any, empty.
      assert.deepEqual(counts, [7, 7, 1]);
    }));

  it("says what is not there", () =>
    over({}, async (_wire, client) => {
      const answers = await reflect(client, "v1", [
        { $case: "fileByFilename", fileByFilename: "no/such.proto" },
        { $case: "fileContainingSymbol", fileContainingSymbol: "no.such.Symbol" },
        { $case: "fileByFilename", fileByFilename: "pannier/v1/state.proto" },
      ]);
      assert.deepEqual(
        answers.map((answer) => (answer?.$case === "errorResponse" ? answer.errorResponse : answer?.$case)),
        [
          { errorCode: 5, errorMessage: "not found: no/such.proto" },
          { errorCode: 5, errorMessage: "not found: no.such.Symbol" },
          "fileDescriptorResponse",
        ],
      );
    }));
});

describe("what is told of calls", () => {
  it("is a log line each, without key and value", () =>
    over({ settings: { apiLogging: true } }, async (wire, client) => {
      await client.get(SAVE, saveOf([item("private-key", { value: "private-value" })]));
      await client.fail(GET, getOf("private||key"));
      const lines = wire.log.map((line) => JSON.parse(line)).filter(({ msg }) => msg === "gRPC API Called");
      assert.deepEqual(
        lines.map(({ method, code, level, app_id, scope }) => [method, code, level, app_id, scope]),
        [
          ["/dapr.proto.runtime.v1.Dapr/SaveState", 0, "info", "wire", "dapr.runtime.grpc"],
          ["/dapr.proto.runtime.v1.Dapr/GetState", 3, "info", "wire", "dapr.runtime.grpc"],
        ],
      );
      assert.match(lines[0].useragent, /^grpc-node-js\//);
      assert.ok(!wire.log.join("").includes("private"));
    }));

  it("is a metric by full method and Go's name of the status, and one label for all that is not there", () =>
    over({}, async (wire, client) => {
      await client.get(SAVE, saveOf([item("k", { value: Buffer.alloc(2000) })]));
      await client.get(GET, getOf("k"));
      await client.fail(SAVE, saveOf([item("k", { etag: "stale" })]));
      for (const path of ["/a.B/C", "/d.E/F"]) await client.fail({ ...GET, path }, getOf("k"));
      const labels = (method: string, status: string): string =>
        `{app_id="wire",grpc_server_method="${method}",grpc_server_status="${status}"}`;
      const path = "/dapr.proto.runtime.v1.Dapr";
      assert.deepEqual(await metric(wire, "dapr_grpc_io_server_completed_rpcs{"), [
        `dapr_grpc_io_server_completed_rpcs${labels(`${path}/SaveState`, "OK")} 1`,
        `dapr_grpc_io_server_completed_rpcs${labels(`${path}/GetState`, "OK")} 1`,
        `dapr_grpc_io_server_completed_rpcs${labels(`${path}/SaveState`, "Aborted")} 1`,
        `dapr_grpc_io_server_completed_rpcs${labels("UNKNOWN", "Unimplemented")} 2`,
      ]);
      assert.equal((await metric(wire, "dapr_grpc_io_server_server_latency_count")).length, 4);
      const received = `dapr_grpc_io_server_received_bytes_per_rpc_sum{app_id="wire",grpc_server_method="${path}/GetState"} ${encodeMessage(GET.request, getOf("k")).length}`;
      assert.ok((await metric(wire, "dapr_grpc_io_server_received_bytes_per_rpc_sum")).includes(received));
      const [sent] = (await metric(wire, "dapr_grpc_io_server_sent_bytes_per_rpc_sum")).filter((line) =>
        line.includes("GetState"),
      );
      assert.ok(Number(sent?.split(" ").at(-1)) > 2000);
    }));

  it("is the trace context that came, binary, and none when there was none", () =>
    over({}, async (_wire, client) => {
      const trace = "0af7651916cd43dd8448eb211c80319c";
      const binary = Buffer.from(`0000${trace}01b7ad6b71692033310201`, "hex");
      const cases = [
        [{ "grpc-trace-bin": binary }, binary],
        [{ traceparent: `00-${trace}-b7ad6b7169203331-01` }, binary],
        [{ traceparent: `00-${"0".repeat(32)}-b7ad6b7169203331-01` }, undefined],
        [{ "grpc-trace-bin": Buffer.alloc(29) }, undefined],
        [{ "grpc-trace-bin": Buffer.from(`0000${"0".repeat(32)}01b7ad6b71692033310201`, "hex") }, undefined],
        [{}, undefined],
      ] as const;
      for (const [metadata, want] of cases) {
        for (const key of ["k", "a||b"]) {
          const { headers } = await client.ask(GET, getOf(key), { metadata });
          assert.deepEqual(headers.get("grpc-trace-bin")[0], want);
        }
      }
    }));

  it("is the port in the start line", () =>
    over({}, async (wire) => {
      const line = wire.log
        .map((text) => JSON.parse(text))
        .find(({ msg }) => String(msg).startsWith("dapr initialized"));
      assert.equal(line.grpc_port, wire.sidecar.grpcPort);
      assert.ok(wire.sidecar.grpcPort > 0);
    }));
});
