// Signatures by an account's key, compared with those of Microsoft's own clients: their requests are recorded, and signed
// again here.
import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { AzureNamedKeyCredential, TableClient } from "@azure/data-tables";
import { ContainerClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import { blobSign, readKey, type Sign, tableSign } from "#sidecar/stores/azure/shared-key.ts";

const ACCOUNT = "devstoreaccount1";
const KEY = Buffer.from("a key of some bytes, as long as one likes").toString("base64");
const NAMES = ["app||order-1", "a b/c?d#e%f&g=h+i'j", "éÄ\u{1f9fa}", "[x]*(y)!~"];

describe("a signature by the account's key", () => {
  let server: Server;
  let address: string;
  const recorded: { request: IncomingMessage; bodyBytes: number }[] = [];

  before(async () => {
    server = createServer((request, response) => {
      let bodyBytes = 0;
      request.on("data", (chunk: Buffer) => {
        bodyBytes += chunk.length;
      });
      request.on("end", () => {
        recorded.push({ request, bodyBytes });
        response.writeHead(404, { connection: "close" }).end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/${ACCOUNT}`;
  });
  after(() => new Promise((resolve) => server.close(resolve)));
  beforeEach(() => recorded.splice(0));

  /** What was recorded, signed by us, is what its client has signed. */
  function expectSame(sign: Sign, count: number): void {
    assert.equal(recorded.length, count);
    for (const { request, bodyBytes } of recorded) {
      const { pathname, searchParams } = new URL(request.url ?? "", "http://127.0.0.1");
      const headers = new Map(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
      const signed = { method: request.method ?? "", path: pathname, query: new Map(searchParams), headers, bodyBytes };
      assert.equal(sign(signed), request.headers.authorization, `${request.method} ${request.url}`);
    }
  }

  it("is that of Microsoft's client of blobs", async () => {
    const options = { retryOptions: { maxTries: 1 } };
    const container = new ContainerClient(`${address}/state`, new StorageSharedKeyCredential(ACCOUNT, KEY), options);
    for (const name of NAMES) {
      const blob = container.getBlockBlobClient(name);
      const metadata = { partitionKey: "p", nobody: "knows me", part: "1", part2: "2" };
      const blobHTTPHeaders = { blobContentType: "application/json", blobCacheControl: "no-cache" };
      await assert.rejects(blob.upload("value", 5, { metadata, blobHTTPHeaders, conditions: { ifMatch: '"0x1"' } }));
      await assert.rejects(blob.upload("", 0, { conditions: { ifNoneMatch: "*" } }));
      await assert.rejects(blob.download());
      await assert.rejects(blob.delete({ conditions: { ifMatch: '"0x1"' } }));
      await assert.rejects(container.listBlobsByHierarchy("||", { prefix: name }).next());
    }
    await assert.rejects(container.create({ access: "blob" }));
    const key = readKey(KEY);
    assert.ok(key !== null);
    expectSame(blobSign({ account: ACCOUNT, key }), NAMES.length * 5 + 1);
  });

  it("is that of Microsoft's client of tables", async () => {
    const options = { allowInsecureConnection: true, retryOptions: { maxRetries: 0 } };
    const table = new TableClient(address, "state", new AzureNamedKeyCredential(ACCOUNT, KEY), options);
    const keys = { partitionKey: "app", rowKey: "o'clock é" };
    await assert.rejects(table.getEntity(keys.partitionKey, keys.rowKey));
    await assert.rejects(table.upsertEntity({ ...keys, Value: "1" }, "Replace"));
    await assert.rejects(table.listEntities({ queryOptions: { filter: "PartitionKey eq 'app'" } }).next());
    await assert.rejects(table.submitTransaction([["create", { ...keys, Value: "1" }]]));
    const key = readKey(KEY);
    assert.ok(key !== null);
    expectSame(tableSign({ account: ACCOUNT, key }), 4);
  });

  it("takes a key as the portal shows it, and no other text", () => {
    assert.equal(readKey(KEY)?.toString("base64"), KEY);
    for (const text of ["", "not base64!", "YQ", "YQ==YQ=="]) assert.equal(readKey(text), null, text);
  });
});
