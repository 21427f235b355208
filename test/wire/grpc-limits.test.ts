// What the gRPC server holds clients to: bytes of answers, of headers, of pages; and what never gets out of it.
import assert from "node:assert/strict";
import { type ClientHttp2Session, connect, constants, type IncomingHttpHeaders } from "node:http2";
import type { QueryStateRequest, QueryStateResponse } from "#proto/gen/dapr/proto/runtime/v1/state.ts";
import {
  BulkDeleteRequest,
  BulkSaveRequest,
  BulkWriteResponse,
  ListKeysRequest,
  ListKeysResponse,
} from "#proto/gen/pannier/v1/state.ts";
import { encodeMessage, type MessageType } from "#proto/wire.ts";
import { GrpcClient, type Method } from "./grpc-client.ts";
import { GET, getOf, item, QUERY, SAVE, STORE_NAME, saveOf } from "./grpc-methods.ts";
import { component, startWire, type WireOptions, type WireSidecar } from "./sidecar.ts";
import { until } from "./until.ts";

const manifests = { "a.yaml": component(STORE_NAME, "state.in-memory") };
const storeName = STORE_NAME;
const LIST = own("ListKeys", ListKeysRequest, ListKeysResponse);
const BULK_SAVE = own("BulkSave", BulkSaveRequest, BulkWriteResponse);
const BULK_DELETE = own("BulkDelete", BulkDeleteRequest, BulkWriteResponse);

function own<Q, A>(name: string, request: MessageType<Q>, response: MessageType<A>): Method<Q, A> {
  return { path: `/pannier.v1.State/${name}`, request, response };
}

async function over(
  settings: WireOptions["settings"],
  test: (client: GrpcClient, wire: WireSidecar) => Promise<void>,
): Promise<void> {
  const wire = await startWire({ manifests, settings: settings ?? {} });
  const client = new GrpcClient(`127.0.0.1:${wire.sidecar.grpcPort}`);
  try {
    await test(client, wire);
  } finally {
    client.close();
    await wire.stop();
  }
}

const CALL = { ":method": "POST", ":path": GET.path, "content-type": "application/grpc", te: "trailers" };

function framed(bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

interface RawEnd {
  readonly status: unknown;
  readonly rstCode: number;
}

/** One call over plain HTTP/2, of GetState unless the headers say otherwise; resolves when it has ended. */
function rawCall(
  session: ClientHttp2Session,
  headers: Readonly<Record<string, string>>,
  message: Uint8Array = encodeMessage(GET.request, getOf("k")),
): Promise<RawEnd> {
  const stream = session.request({ ...CALL, ...headers });
  const seen: IncomingHttpHeaders = {};
  for (const event of ["response", "trailers"]) stream.on(event, (fields: object) => Object.assign(seen, fields));
  stream.on("error", () => undefined);
  stream.resume();
  stream.end(framed(message));
  return new Promise((resolve) =>
    stream.on("close", () => resolve({ status: seen["grpc-status"], rstCode: stream.rstCode ?? 0 })),
  );
}

function plain(wire: WireSidecar, initialWindowSize = 65_535): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${wire.sidecar.grpcPort}`, { settings: { initialWindowSize } });
  session.on("error", () => undefined);
  return session;
}

describe("metadata that cannot be read", () => {
  it("is written nowhere", () =>
    over({ apiToken: "s3cret", logLevel: "debug" }, async (_client, wire) => {
      const written: string[] = [];
      const { write } = process.stderr;
      process.stderr.write = (chunk) => written.push(String(chunk)) > 0;
      const session = plain(wire);
      try {
        const { status } = await rawCall(session, { "dapr-api-token": "s3cret-\u00e9", "x-other": "caf\u00e9" });
        assert.equal(status, "16");
      } finally {
        process.stderr.write = write;
        session.destroy();
      }
      assert.deepEqual(written, []);
      assert.ok(!wire.log.join("").includes("s3cret"));
    }));

  it("is what a token beyond ASCII would be, which the log says at start", async () => {
    const count = async (apiToken: string): Promise<number> => {
      const wire = await startWire({ manifests, settings: { apiToken } });
      await wire.stop();
      return wire.log.filter((line) => line.includes("DAPR_API_TOKEN has characters")).length;
    };
    assert.deepEqual([await count("geheim"), await count("geh\u00e9im")], [0, 1]);
  });
});

describe("a token that comes twice", () => {
  it("passes when it is the same", () =>
    over({ apiToken: "tok" }, async (_client, wire) => {
      const session = plain(wire);
      const statuses: unknown[] = [];
      for (const token of ["tok, tok", "tok, bad"]) {
        statuses.push((await rawCall(session, { "dapr-api-token": token })).status);
      }
      session.destroy();
      assert.deepEqual(statuses, ["0", "16"]);
    }));
});

describe("a client that does not take its answers", () => {
  it("is refused more when 64 MiB wait, while another is served", () =>
    over({}, async (client, wire) => {
      await client.get(SAVE, saveOf([item("k", { value: Buffer.alloc(3 * 1024 * 1024) })]));
      const session = plain(wire, 0);
      await new Promise<void>((resolve) => session.once("remoteSettings", () => resolve()));
      const ends: RawEnd[] = [];
      for (let i = 0; i < 40; i++) void rawCall(session, {}).then((end) => ends.push(end));
      // 21 answers of 3 MiB fit; the others are told, since headers need no room.
      await until("the others are refused", () => ends.length === 19);
      assert.ok(ends.every(({ status }) => status === "8"));
      assert.equal((await client.get(GET, getOf("k"))).data.length, 3 * 1024 * 1024);
      session.destroy();
    }));

  it("is refused a bulk write before anything is written", () =>
    over({}, async (client, wire) => {
      await client.get(SAVE, saveOf([item("k", { value: Buffer.alloc(4_000_000) })]));
      const session = plain(wire, 0);
      await new Promise<void>((resolve) => session.once("remoteSettings", () => resolve()));
      const ends: RawEnd[] = [];
      for (let i = 0; i < 17; i++) void rawCall(session, {}).then((end) => ends.push(end));
      await until("one is refused", () => ends.length === 1);
      const items = [item("new", { value: Buffer.alloc(4_000_000) })];
      const message = encodeMessage(BulkSaveRequest, { storeName, items });
      assert.equal((await rawCall(session, { ":path": BULK_SAVE.path }, message)).status, "8");
      assert.equal((await client.get(GET, getOf("new"))).etag, "");
      session.destroy();
    }));

  it("is served again once it has taken them", () =>
    over({}, async (client) => {
      await client.get(SAVE, saveOf([item("k", { value: Buffer.alloc(3 * 1024 * 1024) })]));
      for (let i = 0; i < 30; i++) await client.get(GET, getOf("k"));
    }));
});

describe("headers of a connection's first call", () => {
  it("are limited before the client has confirmed the limit, paths too", () =>
    over({ headerBytesMax: 2048 }, async (_client, wire) => {
      for (const headers of [{ "x-long": "y".repeat(3000) }, { ":path": `/${"p".repeat(3000)}` }]) {
        // The first call goes out with the preface, before any SETTINGS have come.
        const session = plain(wire);
        assert.equal((await rawCall(session, headers)).rstCode, constants.NGHTTP2_ENHANCE_YOUR_CALM);
        session.destroy();
      }
    }));
});

describe("a query's page over gRPC", () => {
  const ask = (page: object): QueryStateRequest => ({ storeName, query: JSON.stringify({ page }), metadata: {} });
  const settings = { bodyBytesMax: 10_000 };

  it("is shorter when it would be larger than an answer may be", () =>
    over(settings, async (client) => {
      const keys = Array.from({ length: 20 }, (_each, i) => `key-${i + 10}`);
      for (const key of keys) await client.get(SAVE, saveOf([item(key, { value: JSON.stringify("x".repeat(498)) })]));
      const seen: string[] = [];
      let token = "";
      do {
        const page: QueryStateResponse = await client.get(QUERY, ask({ limit: 100, token }));
        seen.push(...page.results.map(({ key }) => key));
        token = page.token;
      } while (token !== "");
      assert.deepEqual(seen, keys);
    }));

  it("tells of a value that is too large to be carried, and goes on behind it", () =>
    over(settings, async (client, wire) => {
      await saveLargest(wire, "a", 10_000);
      await client.get(SAVE, saveOf([item("b", { value: "1" })]));
      const first = await client.get(QUERY, ask({ limit: 10 }));
      assert.deepEqual(
        first.results.map(({ key, data, error }) => [key, data.length, error]),
        [["a", 0, TOO_LARGE]],
      );
      const second = await client.get(QUERY, ask({ limit: 10, token: first.token }));
      assert.deepEqual([second.results.map(({ key }) => key), second.token], [["b"], ""]);
    }));
});

const TOO_LARGE =
  "the value has 9978 bytes, more than an answer can carry: 10000 with all that is around it (--max-body-size)";

/** Saves over HTTP as large a value as a body may have, which is more than fits into an answer with key and ETag. */
async function saveLargest(wire: WireSidecar, key: string, bodyBytes: number): Promise<void> {
  const empty = JSON.stringify([{ key, value: "" }]);
  const body = empty.replace('""', `"${"x".repeat(bodyBytes - empty.length)}"`);
  assert.equal((await wire.ask("POST", `/v1.0/state/${STORE_NAME}`, { body })).status, 204);
}

describe("a page of keys over gRPC", () => {
  it("tells of a value that is too large to be carried, and goes on behind it", () =>
    over({ bodyBytesMax: 10_000 }, async (client, wire) => {
      await saveLargest(wire, "a", 10_000);
      await client.get(SAVE, saveOf([item("b", { value: "1" })]));
      const list = { storeName, prefix: "", limit: 0, token: "", values: true };
      const first = await client.get(LIST, list);
      assert.deepEqual(
        first.items.map(({ key, data, error }) => [key, data, error]),
        [["a", undefined, TOO_LARGE]],
      );
      const second = await client.get(LIST, { ...list, token: first.token });
      assert.deepEqual([second.items.map(({ key }) => key), second.token], [["b"], ""]);
    }));
});

describe("a bulk write over gRPC", () => {
  const metadata = { contentType: "application/json" };

  it("has an error for an item that says JSON and is none, and writes the others", () =>
    over({}, async (client) => {
      const items = [item("a", { value: "1" }), item("b", { value: "{", metadata }), item("c", { value: "3" })];
      const { results } = await client.get(BULK_SAVE, { storeName, items });
      assert.deepEqual(
        results.map(({ key, error }) => [key, error?.code, error?.errorCode]),
        [
          ["a", undefined, undefined],
          ["b", 3, "ERR_STATE_SAVE"],
          ["c", undefined, undefined],
        ],
      );
      assert.equal(Buffer.from((await client.get(GET, getOf("c"))).data).toString(), "3");
    }));

  it("is refused as a whole for an item without a key", () =>
    over({}, async (client) => {
      await client.get(SAVE, saveOf([item("a", { value: "1" })]));
      for (const method of [BULK_SAVE, BULK_DELETE]) {
        const items = [item("a", { value: "2" }), item("", { value: "2" })];
        const { code, message } = await client.fail(method as typeof BULK_SAVE, { storeName, items });
        assert.deepEqual([code, message], ["InvalidArgument", "state key cannot be empty"]);
      }
      assert.equal(Buffer.from((await client.get(GET, getOf("a"))).data).toString(), "1");
    }));

  it("tells its results in fewer words when they do not fit into an answer", () =>
    over({ bodyBytesMax: 10_000 }, async (client) => {
      const items = Array.from({ length: 100 }, (_each, i) => item(`k${i}`, { etag: "stale" }));
      const { results } = await client.get(BULK_DELETE, { storeName, items });
      assert.equal(results.length, 100);
      assert.ok(results.every(({ error }) => error?.code === 10 && error.errorCode === "ERR_STATE_DELETE"));
    }));

  it("is refused before anything is written when not even that can fit", () =>
    over({ bodyBytesMax: 10_000 }, async (client) => {
      const items = Array.from({ length: 200 }, (_each, i) => item(`k${i}`, { value: "1" }));
      const { code, message } = await client.fail(BULK_SAVE, { storeName, items });
      assert.equal(code, "ResourceExhausted");
      assert.match(message, /nothing was written/);
      assert.equal((await client.get(GET, getOf("k0"))).etag, "");
    }));
});
