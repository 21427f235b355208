// Spans of requests (dapr-state-api.md 10.1), as receivers of our own get them.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Server as GrpcServer, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import { ask, STORE, save } from "./client.ts";
import { GrpcClient } from "./grpc-client.ts";
import { GET, getOf } from "./grpc-methods.ts";
import { component, configuration, startWire, type WireSidecar } from "./sidecar.ts";

const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const PARENT = `00-${TRACE_ID}-b7ad6b7169203331-01`;
const manifests = {
  "a.yaml": component("statestore", "state.in-memory"),
  "b.yaml": component("actors", "state.in-memory", { actorStateStore: "true" }),
};

interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface ZipkinSpan {
  readonly traceId: string;
  readonly parentId?: string;
  readonly id: string;
  readonly name: string;
  readonly kind: string;
  readonly localEndpoint: { readonly serviceName: string };
  readonly tags: Readonly<Record<string, string>>;
}

/** A collector: keeps all that is posted to it and answers with one status. */
async function collector(status = 200) {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    received.push({ path: request.url ?? "", headers: request.headers, body: Buffer.concat(chunks).toString() });
    response.writeHead(status, { "content-type": "application/json" }).end("{}");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    server.close();
    server.closeAllConnections();
    await once(server, "close");
  };
  return { received, port, close };
}

describe("tracing", () => {
  let folder: string;
  let file: string;
  let target: Awaited<ReturnType<typeof collector>>;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "pannier-tracing-"));
    file = join(folder, "config.json");
    target = await collector();
  });
  afterEach(async () => {
    await target.close();
    await rm(folder, { recursive: true });
  });

  /** Runs the task against a sidecar and ends the sidecar, which sends what spans there are. */
  const over = async (spec: object, task: (wire: WireSidecar) => Promise<void>): Promise<WireSidecar> => {
    await writeFile(file, configuration(spec));
    const wire = await startWire({ manifests, settings: { configPaths: [file], apiToken: null } });
    try {
      await task(wire);
    } finally {
      await wire.stop();
    }
    return wire;
  };

  const zipkin = (samplingRate: string, more: object = {}) => ({
    tracing: { samplingRate, zipkin: { endpointAddress: `http://127.0.0.1:${target.port}/api/v2/spans` } },
    ...more,
  });
  const spans = (): ZipkinSpan[] => target.received.flatMap(({ body }) => JSON.parse(body));
  const spanOf = (statement: string): ZipkinSpan => {
    const found = spans().filter(({ tags }) => tags["dapr.api"] === statement);
    assert.equal(found.length, 1, JSON.stringify(spans()));
    const [span] = found;
    assert.ok(span !== undefined);
    return span;
  };

  it("sends a span per request under Dapr's names, and none for health", async () => {
    let port = 0;
    await over(zipkin("1"), async (wire) => {
      port = wire.sidecar.httpPort;
      await save(wire, "k", '"precious value"');
      await ask(wire, "GET", `${STORE}/k?metadata.partitionKey=hidden`, undefined, { "dapr-app-id": "x" });
      await ask(wire, "GET", "/v1.0/healthz");
      await ask(wire, "GET", "/v1.0/metadata");
    });
    assert.equal(spans().length, 3);
    const span = spanOf(`GET ${STORE}/k`);
    assert.equal(span.kind, "CLIENT");
    assert.equal(span.localEndpoint.serviceName, "wire");
    const { "otel.status_code": _status, "service.name": _service, ...tags } = span.tags;
    assert.deepEqual(tags, {
      "db.system": "state",
      "db.connection_string": "state",
      "db.statement": `GET ${STORE}/k`,
      "db.name": "statestore",
      "dapr.api": `GET ${STORE}/k`,
      "dapr.protocol": "http",
      "dapr.status_code": "200",
      "dapr-app-id": "x",
      "http.request.method": "GET",
      "url.full": `http://127.0.0.1:${port}${STORE}/k`,
      "server.address": "127.0.0.1",
      "server.port": String(port),
    });
    assert.equal(spanOf("GET /v1.0/metadata").tags["db.system"], undefined);
  });

  it("never sends a value, a query or the token", async () => {
    await over(zipkin("1"), async (wire) => {
      const headers = { "dapr-api-token": "s3cret" };
      await ask(wire, "POST", `${STORE}?metadata.secret=hidden`, [{ key: "k", value: "precious" }], headers);
    });
    assert.equal(spans().length, 1);
    const all = target.received.map(({ body }) => body).join("");
    for (const word of ["precious", "hidden", "s3cret"]) assert.ok(!all.includes(word), word);
  });

  it("takes no password out of a request target or a Host", async () => {
    await over(zipkin("1"), async (wire) => {
      const authority = `u:s3cret@127.0.0.1:${wire.sidecar.httpPort}`;
      for (const head of [
        `GET http://${authority}${STORE}/absolute HTTP/1.1\r\nHost: ${authority}`,
        `GET ${STORE}/host?x=hidden HTTP/1.1\r\nHost: ${authority}`,
        `GET http://${authority} HTTP/1.1\r\nHost: a/s3cret?b`,
        `GET //${STORE}/./none/ HTTP/1.0`,
      ]) {
        await wire.raw(`${head}\r\nConnection: close\r\n\r\n`);
      }
    });
    assert.equal(spans().length, 4);
    assert.doesNotMatch(target.received.map(({ body }) => body).join(""), /s3cret|hidden/);
    for (const key of ["absolute", "host"]) {
      const { tags, name } = spanOf(`GET ${STORE}/${key}`);
      assert.equal(name, `${STORE}/${key}`);
      assert.equal(tags["server.address"], "127.0.0.1");
      const url = new URL(String(tags["url.full"]));
      assert.deepEqual([url.pathname, url.host], [name, `127.0.0.1:${tags["server.port"]}`]);
    }
    for (const name of ["/", `${STORE}/none`]) assert.equal(spanOf(`GET ${name}`).tags["url.full"], undefined);
  });

  it("sends a span per call over gRPC, and goes on with the trace of its metadata", async () => {
    let answered = Buffer.alloc(0);
    await over(zipkin("1"), async (wire) => {
      const client = new GrpcClient(`127.0.0.1:${wire.sidecar.grpcPort}`);
      const binary = Buffer.from(`0000${TRACE_ID}01b7ad6b71692033310201`, "hex");
      const { headers } = await client.ask(GET, getOf("precious"), { metadata: { "grpc-trace-bin": binary } });
      answered = Buffer.from(headers.get("grpc-trace-bin")[0] ?? "");
      await client.ask(GET, { ...getOf("k"), storeName: "nowhere" });
      client.close();
    });
    const path = "/dapr.proto.runtime.v1.Dapr/GetState";
    const [span, failed] = spans();
    assert.ok(span !== undefined && failed !== undefined);
    assert.equal(span.name, path);
    assert.deepEqual([span.traceId, span.parentId], [TRACE_ID, "b7ad6b7169203331"]);
    assert.equal(answered.toString("hex"), `0000${TRACE_ID}01${span.id}0201`);
    const { "service.name": _service, ...tags } = span.tags;
    assert.deepEqual(tags, {
      "db.system": "state",
      "db.connection_string": "state",
      "db.statement": path,
      "db.name": "statestore",
      "dapr.api": path,
      "dapr.protocol": "grpc",
      "dapr.status_code": "0",
    });
    assert.deepEqual(
      [failed.tags["db.name"], failed.tags["dapr.status_code"], failed.tags["otel.status_code"]],
      ["nowhere", "3", "ERROR"],
    );
    assert.ok(!target.received.some(({ body }) => body.includes("precious")));
  });

  it("leaves keys and actors' names out when KeysInSpans is off", async () => {
    const features = { features: [{ name: "KeysInSpans", enabled: false }] };
    await over(zipkin("1", features), async (wire) => {
      await ask(wire, "GET", `${STORE}/alice`);
      await ask(wire, "GET", "/v1.0/actors/cat/leroy/state/food");
      await ask(wire, "GET", "/alice/leroy");
    });
    assert.equal(spans().length, 3);
    assert.doesNotMatch(target.received.map(({ body }) => body).join(""), /alice|leroy|food/);
    spanOf(`GET ${STORE}/{key}`);
    for (const { tags } of spans()) assert.match(String(tags["url.full"]), /^http:\/\/127\.0\.0\.1:\d+\//);
  });

  it("goes on with the trace that comes in, and answers with its own span", async () => {
    let answered = "";
    await over(zipkin("1"), async (wire) => {
      const answer = await ask(wire, "GET", `${STORE}/k`, undefined, { traceparent: PARENT, tracestate: "a=b" });
      answered = String(answer.headers.traceparent);
      assert.equal(answer.headers.tracestate, "a=b");
    });
    const span = spanOf(`GET ${STORE}/k`);
    assert.deepEqual([span.traceId, span.parentId], [TRACE_ID, "b7ad6b7169203331"]);
    assert.equal(answered, `00-${TRACE_ID}-${span.id}-01`);
  });

  it("samples as the parent says, whatever the rate", async () => {
    await over(zipkin("0.000001"), async (wire) => {
      await ask(wire, "GET", `${STORE}/in`, undefined, { traceparent: PARENT });
      const out = await ask(wire, "GET", `${STORE}/out`, undefined, { traceparent: `${PARENT.slice(0, -2)}00` });
      assert.match(String(out.headers.traceparent), new RegExp(`^00-${TRACE_ID}-[0-9a-f]{16}-00$`));
      // Not sampled, and still part of a trace that the app can go on with.
      const own = await ask(wire, "GET", `${STORE}/own`);
      assert.match(String(own.headers.traceparent), /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    });
    assert.deepEqual(
      spans().map(({ name }) => name),
      [`${STORE}/in`],
    );
  });

  it("marks a request that failed", async () => {
    await over(zipkin("1"), async (wire) => {
      await ask(wire, "GET", "/v1.0/state/nowhere/k");
    });
    const { tags } = spanOf("GET /v1.0/state/nowhere/k");
    assert.deepEqual([tags["dapr.status_code"], tags["otel.status_code"]], ["400", "ERROR"]);
  });

  it("is off at a rate of 0, and without a place to send to", async () => {
    for (const spec of [zipkin("0"), { tracing: { samplingRate: "1" } }]) {
      await over(spec, async (wire) => {
        const plain = await ask(wire, "GET", `${STORE}/k`);
        assert.equal(plain.headers.traceparent, undefined);
        const traced = await ask(wire, "GET", `${STORE}/k`, undefined, { traceparent: PARENT });
        assert.equal(traced.headers.traceparent, PARENT);
      });
    }
    assert.deepEqual(target.received, []);
  });

  it("begins and ends with the sampling rate, without a restart", async () => {
    await over(zipkin("0"), async (wire) => {
      await ask(wire, "GET", `${STORE}/before`);
      await writeFile(file, configuration(zipkin("1")));
      await wire.sidecar.reload();
      while ((await ask(wire, "GET", "/v1.0/metadata")).headers.traceparent === undefined);
      await ask(wire, "GET", `${STORE}/between`);
      await writeFile(file, configuration(zipkin("0")));
      await wire.sidecar.reload();
      await ask(wire, "GET", `${STORE}/after`);
    });
    const names = spans().map(({ name }) => name);
    assert.deepEqual(
      names.filter((name) => name.startsWith(STORE)),
      [`${STORE}/between`],
    );
  });

  it("speaks OTLP over HTTP, with the headers of the Configuration", async () => {
    const otel = {
      endpointAddress: `127.0.0.1:${target.port}`,
      isSecure: false,
      protocol: "http",
      headers: [{ name: "x-key", value: "collector-secret" }],
    };
    const wire = await over({ tracing: { samplingRate: "1", otel } }, async (running) => {
      await ask(running, "GET", `${STORE}/k`);
    });
    const [received] = target.received;
    assert.ok(received !== undefined);
    assert.deepEqual([received.path, received.headers["x-key"]], ["/v1/traces", "collector-secret"]);
    const [resource] = JSON.parse(received.body).resourceSpans;
    assert.deepEqual(resource.resource.attributes.find(({ key }: { key: string }) => key === "service.name").value, {
      stringValue: "wire",
    });
    assert.equal(resource.scopeSpans[0].spans[0].name, `${STORE}/k`);
    assert.ok(!wire.log.join("").includes("collector-secret"));
  });

  it("speaks OTLP over gRPC", async () => {
    const bodies: Buffer[] = [];
    const keys: unknown[] = [];
    const server = new GrpcServer();
    const raw = (bytes: Buffer): Buffer => bytes;
    const definition = {
      path: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
      requestStream: false,
      responseStream: false,
      requestDeserialize: raw,
      requestSerialize: raw,
      responseDeserialize: raw,
      responseSerialize: raw,
    } as const;
    const handler = (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>): void => {
      bodies.push(call.request);
      keys.push(...call.metadata.get("x-key"));
      done(null, Buffer.alloc(0));
    };
    server.addService({ Export: definition }, { Export: handler });
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    const headers = [{ name: "x-key", value: "v" }];
    const otel = { endpointAddress: `127.0.0.1:${port}`, isSecure: false, protocol: "grpc", headers };
    try {
      await over({ tracing: { samplingRate: "1", otel } }, async (wire) => {
        await ask(wire, "GET", `${STORE}/k`);
      });
    } finally {
      server.forceShutdown();
    }
    assert.ok(Buffer.concat(bodies).includes(`${STORE}/k`));
    assert.deepEqual(keys, ["v"]);
  });

  it("writes spans into the log with stdout", async () => {
    const wire = await over({ tracing: { samplingRate: "1", stdout: true } }, async (running) => {
      await ask(running, "GET", `${STORE}/k`);
    });
    const lines = wire.log.map((line) => JSON.parse(line)).filter(({ msg }) => msg === "span");
    assert.deepEqual(
      lines.map(({ name, failed }) => [name, failed]),
      [[`${STORE}/k`, false]],
    );
  });

  it("says once that a collector refuses, and harms no request", async () => {
    await target.close();
    target = await collector(400);
    const wire = await over(zipkin("1"), async (running) => {
      for (let i = 0; i < 600; i++) assert.equal((await ask(running, "GET", `${STORE}/k`)).status, 204);
    });
    assert.ok(target.received.length >= 2);
    const told = wire.log.filter((line) => line.includes("spans cannot be exported"));
    assert.equal(told.length, 1, told.join(""));
  });

  it("does not hold up the end when a collector does not answer", async () => {
    const silent = createTcpServer(() => undefined);
    const sockets = new Set<{ destroy(): void }>();
    silent.on("connection", (socket) => sockets.add(socket));
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    const spec = { tracing: { samplingRate: "1", zipkin: { endpointAddress: `http://127.0.0.1:${port}/spans` } } };
    // Mocha's limit is the deadline: the exporter itself would wait for longer.
    await over(spec, async (wire) => {
      await ask(wire, "GET", `${STORE}/k`);
    });
    for (const socket of sockets) socket.destroy();
    silent.close();
    await once(silent, "close");
  }).timeout(8_000);
});
