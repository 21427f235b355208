// What the page of state.gcp.spanner shows for looking into the store: its SQL as printed there, against what a sidecar has
// written; and rows of that layout which somebody else wrote, as a sidecar reads and updates them.
import assert from "node:assert/strict";
import { statementFor } from "#sidecar/stores/spanner/table.ts";
import { describeWithSpanner, type SpannerServer, spannerService, startSpanner } from "#test/servers/spanner.ts";
import { SpannerClient } from "#test/servers/spanner-client.ts";
import { ask, STORE, save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { readPage } from "./pages.ts";

/** The statements of the page, in their order. */
function statements(): readonly string[] {
  const blocks = readPage("docs/stores/gcp.spanner.md").blocks.filter(({ language }) => language === "sql");
  return blocks.flatMap(({ text }) => text.split(";").map((each) => each.trim())).filter(Boolean);
}

const service = spannerService();
const COLUMNS = ["key", "value", "version", "expiry"];
const base64 = (text: string): string => Buffer.from(text).toString("base64");

(service === null ? describeWithSpanner : describe)("the table of Spanner", () => {
  let server: SpannerServer | null = null;
  let second: SpannerClient;
  let wire: WireSidecar;

  before(async function () {
    this.timeout(300_000);
    server = service === null ? await startSpanner() : null;
    const metadata = server?.metadata ?? service ?? {};
    second = await SpannerClient.open(metadata);
    const spec = component("statestore", "state.gcp.spanner", { ...metadata, actorStateStore: "true" });
    wire = await startWire({ manifests: { "a.yaml": spec }, settings: { appId: "orders-app" } });
  });
  after(async () => {
    await wire.stop();
    second.close();
    await server?.stop();
  });

  it("is the one that the page shows", () => {
    assert.equal(statements()[0], statementFor("state"));
  });

  it("shows the keys of an app, the state of an actor, and what is live", async () => {
    const [, keys = "", actor = "", live = ""] = statements();
    await save(wire, "order-1", '{"a": 1}');
    const balance = [{ operation: "upsert", request: { key: "balance", value: 7 } }];
    assert.equal((await ask(wire, "POST", "/v1.0/actors/Account/alice/state", balance)).status, 204);
    const expired = ["orders-app||order-2", base64("2"), "theirs", "2020-01-01T00:00:00Z"];
    await second.put("state", COLUMNS, [expired]);
    const own = ["orders-app||Account||alice||balance", "orders-app||order-1"];
    assert.deepEqual((await second.sql(keys)).flat(), [...own, "orders-app||order-2"]);
    assert.deepEqual(await second.sql(actor), [[own[0], base64("7")]]);
    assert.deepEqual((await second.sql(live)).flat(), own);
  });

  const showAverage = service === null ? it.skip : it;
  const why = service === null ? " (not run: Google's in-memory fake has no JSON_VALUE)" : "";
  showAverage(`shows an average over actors${why}`, async () => {
    const [, , , , average = ""] = statements();
    const balance = [{ operation: "upsert", request: { key: "balance", value: 8 } }];
    await ask(wire, "POST", "/v1.0/actors/Account/bob/state", balance);
    assert.deepEqual(await second.sql(average), [["7.5"]]);
  });

  it("holds the bytes, a version that is the ETag, and the moment of expiry", async () => {
    const item = { key: "layout", value: { b: 1, a: "ä" }, metadata: { ttlInSeconds: "100" } };
    assert.equal((await ask(wire, "POST", STORE, [item])).status, 204);
    const { headers } = await ask(wire, "GET", `${STORE}/layout`);
    const [row] = await second.sql("SELECT key, value, version, expiry FROM state WHERE key = 'orders-app||layout'");
    const [key, value, version, expiry] = row ?? [];
    assert.deepEqual([key, value, version], ["orders-app||layout", base64('{"b":1,"a":"ä"}'), headers.etag]);
    const told = Date.parse(String(headers["metadata.ttlexpiretime"]));
    assert.equal(Math.floor(Date.parse(expiry ?? "") / 1000) * 1000, told);
  });

  it("may have rows that somebody else wrote: they are read, and their version counts", async () => {
    await second.put("state", COLUMNS, [["orders-app||theirs", base64('{"a":  1}'), "v-1", "2099-01-01T00:00:00.5Z"]]);
    const { text, headers } = await ask(wire, "GET", `${STORE}/theirs`);
    assert.deepEqual(
      [text, headers.etag, headers["metadata.ttlexpiretime"]],
      ['{"a":  1}', "v-1", "2099-01-01T00:00:00Z"],
    );
    const put = async (etag: string): Promise<number> =>
      (await ask(wire, "POST", STORE, [{ key: "theirs", value: 2, etag }])).status;
    assert.deepEqual([await put("v-2"), await put("v-1"), await put("v-1")], [409, 204, 409]);
    const [row] = await second.sql("SELECT value, expiry FROM state WHERE key = 'orders-app||theirs'");
    assert.deepEqual(row, [base64("2"), null]);
  });
});
