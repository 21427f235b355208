// Pages of keys with values: what is read of rows that are none of the layout.
import assert from "node:assert/strict";
import { describeWithMysql } from "#test/servers/mysql.ts";
import { call, onOneServer, write } from "./fixture.ts";

const LARGE = 1_000_000;

describeWithMysql("a page of keys in MySQL", () => {
  const { schema, open, query } = onOneServer();

  it("leaves out a value that is not in the layout, and does not fetch it", async () => {
    const name = schema();
    const store = await open(name);
    await store.set(write("a", "1"), call);
    // Raw bytes that are no base64.
    const text = "INSERT INTO state (id, value, isbinary, eTag) VALUES ('b', JSON_QUOTE(REPEAT('*', ?)), 1, 'e')";
    await query(name, text, [LARGE]);
    const sent = async (): Promise<number> =>
      Number((await query(name, "SHOW GLOBAL STATUS LIKE 'Bytes_sent'"))[0]?.Value);
    const before = await sent();
    const page = await store.list?.({ range: { scope: "", start: "" }, after: null, limit: 10, values: true }, call);
    assert.deepEqual(
      page?.rows.map(({ key }) => key),
      ["a"],
    );
    assert.ok((await sent()) - before < LARGE / 2);
  });
});
