// What the answers of the services come to, where the emulator gives others: an endpoint of the test's own gives Azure's.
import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Store } from "#sidecar/stores/store.ts";
import { call, deletion, openStore, removal, textOf, upsert, write } from "./fixture.ts";

interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

const KEY = Buffer.from("sixteen bytes, or more").toString("base64");
const BLOB_ETAG = '"0x8DC000000000000"';
const ROW_ETAG = "W/\"datetime'2026-01-01T00%3A00%3A00.0000000Z'\"";

const blobError = (status: number, code: string): Reply => ({
  status,
  headers: { "x-ms-error-code": code },
  body: `<?xml version="1.0"?><Error><Code>${code}</Code><Message>hunter2</Message></Error>`,
});
const rowError = (status: number, code: string, place = ""): Reply => ({
  status,
  body: `{"odata.error":{"code":"${code}","message":{"lang":"en-US","value":"${place}hunter2\\nRequestId:1"}}}`,
});
const batchError = (status: number, code: string, place: number): Reply => ({
  status: 202,
  headers: { "content-type": "multipart/mixed; boundary=batchresponse_1" },
  body: `--batchresponse_1\r\n\r\n--changesetresponse_1\r\n\r\nHTTP/1.1 ${status} Bad\r\n\r\n${rowError(status, code, `${place}:`).body}\r\n--changesetresponse_1--\r\n`,
});

describe("the answers of Azure's storage", () => {
  let server: Server;
  let replies: Reply[];
  let stores: Readonly<Record<"blobs" | "tables", Store>>;

  before(async () => {
    server = createServer((request, response) => {
      request.resume();
      request.on("end", () => {
        const { status, headers = {}, body = "" } = replies.shift() ?? { status: 200 };
        response.writeHead(status, headers).end(body);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const account = { accountName: "orders", accountKey: KEY };
    replies = [blobError(404, "BlobNotFound"), blobError(404, "BlobNotFound")];
    const blobs = await openStore("blobs", { ...account, containerName: "state", endpoint: address, retryCount: "0" });
    replies = [rowError(404, "ResourceNotFound"), rowError(404, "ResourceNotFound")];
    const tables = await openStore("tables", { ...account, tableName: "state", serviceURL: address });
    stores = { blobs, tables };
  });
  after(async () => {
    await stores.blobs.close();
    await stores.tables.close();
    await new Promise((resolve) => server.close(resolve));
  });

  async function rejects(run: (store: Store) => Promise<unknown> | undefined, kind: "blobs" | "tables", want: object) {
    await assert.rejects(run(stores[kind]) ?? Promise.resolve(), want);
    assert.deepEqual(replies, [], "not all answers were asked for");
  }

  const set =
    (etag: string | null, firstWrite = false) =>
    (store: Store) =>
      store.set(write("app||k", "1", { etag, firstWrite }), call);
  const remove = (etag: string | null) => (store: Store) => store.remove(removal("app||k", { etag }), call);
  const get = (store: Store): Promise<unknown> => textOf(store, "app||k");

  it("are conflicts where a condition does not hold", async () => {
    const conflict = { code: "etag-mismatch" };
    for (const reply of [blobError(412, "ConditionNotMet"), blobError(404, "BlobNotFound")]) {
      replies = [reply];
      await rejects(set(BLOB_ETAG), "blobs", conflict);
      replies = [reply];
      await rejects(remove(BLOB_ETAG), "blobs", conflict);
    }
    for (const reply of [blobError(409, "BlobAlreadyExists"), blobError(412, "ConditionNotMet")]) {
      replies = [reply];
      await rejects(set(null, true), "blobs", conflict);
    }
    for (const code of ["UpdateConditionNotSatisfied", "ResourceNotFound", "EntityNotFound", "InvalidInput"]) {
      replies = [rowError(412, code)];
      await rejects(set(ROW_ETAG), "tables", conflict);
      replies = [rowError(412, code)];
      await rejects(remove(ROW_ETAG), "tables", conflict);
    }
    replies = [rowError(409, "EntityAlreadyExists")];
    await rejects(set(null, true), "tables", conflict);
  });

  it("are no conflicts where another thing is wrong, and never show Azure's own text", async () => {
    const wants: readonly (readonly [Reply, string])[] = [
      [blobError(403, "AuthenticationFailed"), "unavailable"],
      [blobError(404, "ContainerNotFound"), "unavailable"],
      [blobError(412, "LeaseIdMissing"), "unavailable"],
      [blobError(409, "BlobImmutableDueToPolicy"), "unavailable"],
      [blobError(413, "RequestBodyTooLarge"), "refused"],
      [blobError(400, "InvalidUri"), "refused"],
      [blobError(400, "SomethingNew"), "failed"],
      [blobError(503, "ServerBusy"), "unavailable"],
      [blobError(500, "InternalError"), "unknown-outcome"],
      [blobError(500, "OperationTimedOut"), "unknown-outcome"],
      [{ status: 502, body: "<html>hunter2</html>" }, "unknown-outcome"],
      [{ status: 404, body: "<html>hunter2</html>" }, "unavailable"],
    ];
    for (const [reply, code] of wants) {
      replies = [reply];
      await rejects(set(BLOB_ETAG), "blobs", (error: Error & { code: string }) => {
        assert.equal(error.code, code, JSON.stringify(reply));
        assert.doesNotMatch(`${error.stack}`, /hunter2/);
        return true;
      });
    }
  });

  it("are unavailable for reads that the service fails in", async () => {
    replies = [blobError(500, "InternalError")];
    await rejects(get, "blobs", { code: "unavailable" });
    replies = [{ status: 200, body: "<html>" }];
    await rejects(get, "tables", { code: "unavailable", message: /no JSON/ });
  });

  it("of a batch are those of the change that they name", async () => {
    const first = { firstWrite: true };
    const changes = [upsert("app||a", "1", first), upsert("app||b", "1", { etag: ROW_ETAG })];
    const transact = (store: Store): Promise<void> | undefined => store.transact?.(changes, call);
    replies = [batchError(412, "UpdateConditionNotSatisfied", 1)];
    await rejects(transact, "tables", { code: "etag-mismatch", message: /^change 2 of 2: the value has another etag/ });
    replies = [batchError(409, "EntityAlreadyExists", 0)];
    await rejects(transact, "tables", { code: "etag-mismatch", message: /^change 1 of 2: item already exists/ });
    replies = [batchError(400, "PropertyValueTooLarge", 0)];
    await rejects(transact, "tables", { code: "refused" });
    replies = [{ status: 202, body: "nonsense hunter2" }];
    await rejects(transact, "tables", { code: "unknown-outcome", message: /may have happened$/ });
  });

  it("of a batch whose row somebody else has deleted let it be planned anew, and not for ever", async () => {
    const row: Reply = { status: 200, body: JSON.stringify({ PartitionKey: "app", RowKey: "a", Value: "1" }) };
    const gone = batchError(404, "ResourceNotFound", 0);
    replies = [row, gone, rowError(404, "ResourceNotFound")];
    await stores.tables.transact?.([deletion("app||a")], call);
    assert.deepEqual(replies, []);
    replies = Array.from({ length: 5 }, () => [row, gone]).flat();
    await rejects((store) => store.transact?.([deletion("app||a")], call), "tables", { code: "failed" });
  });
});
