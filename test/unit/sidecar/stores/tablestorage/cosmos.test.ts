// Opening a table of Cosmos DB, as far as it goes without one: an endpoint that, as Cosmos DB may, has one word for a row
// and for a table that is not there.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { openStore } from "../azure/fixture.ts";

const KEY = Buffer.from("sixteen bytes or more").toString("base64");
const MISSING = JSON.stringify({ "odata.error": { code: "ResourceNotFound", message: { value: "none" } } });

async function asked(more: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const came: string[] = [];
  const server = createServer((request, response) => {
    came.push(`${request.method} ${request.url}`);
    request.resume();
    if (request.method === "POST") response.writeHead(201).end("{}");
    else response.writeHead(404, { "content-type": "application/json" }).end(MISSING);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const serviceURL = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const fields = { accountName: "orders", accountKey: KEY, tableName: "state", serviceURL, ...more };
  const store = await openStore("tables", fields);
  await store.close();
  await new Promise((resolve) => server.close(resolve));
  return came.filter((each) => each.startsWith("POST"));
}

describe("a table of Cosmos DB", () => {
  it("is made without asking first whether it is there, unless that is switched off", async () => {
    assert.deepEqual(await asked({ cosmosDbMode: "true" }), ["POST /Tables"]);
    assert.deepEqual(await asked({ cosmosDbMode: "true", skipCreateTable: "true" }), []);
  });
});
