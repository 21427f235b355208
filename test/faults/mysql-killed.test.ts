// A MariaDB server that is killed again and again while writers write: what was acknowledged is there, what was refused is
// not, no transaction is there by half, and the sidecar goes on by itself.
import assert from "node:assert/strict";
import { describeWithMysql, type MysqlServer, startMysql } from "#test/servers/mysql.ts";
import { ask, STORE } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

const WRITERS = 8;
const KILLS = 3;
const WAIT_MS = 20_000;
const AFTER_REFUSAL_MS = 5;

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + WAIT_MS;
  while (!condition()) {
    assert.ok(Date.now() < end, "it did not happen in time");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** One client that counts up a pair of keys in transactions, and remembers what it was told. */
class Writer {
  /** The last number that was acknowledged, and the last that was sent. */
  acknowledged = 0;
  sent = 0;
  refused = 0;
  readonly #wire: WireSidecar;
  readonly #name: number;

  constructor(wire: WireSidecar, name: number) {
    this.#wire = wire;
    this.#name = name;
  }

  get keys(): readonly string[] {
    return [`left${this.#name}`, `right${this.#name}`];
  }

  async writeUntil(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const value = ++this.sent;
      const operations = this.keys.map((key) => ({ operation: "upsert", request: { key, value } }));
      const { status } = await ask(this.#wire, "POST", `${STORE}/transaction`, { operations });
      assert.ok(status === 204 || status === 500, `status ${status}`);
      if (status === 204) this.acknowledged = value;
      else {
        this.refused++;
        await new Promise((resolve) => setTimeout(resolve, AFTER_REFUSAL_MS));
      }
    }
  }
}

describeWithMysql("a MariaDB server that is killed", () => {
  let server: MysqlServer;
  let wire: WireSidecar;

  before(async () => {
    server = await startMysql();
    const manifests = { "a.yaml": component("statestore", "state.mysql", { connectionString: server.dsn() }) };
    wire = await startWire({ manifests });
  });
  after(async () => {
    await wire.stop();
    await server.stop();
  });

  it("loses no acknowledged transaction and none by half, and is found again", async function () {
    this.timeout(60_000);
    const writers = Array.from({ length: WRITERS }, (_, name) => new Writer(wire, name));
    let stopped = false;
    const writing = Promise.all(writers.map((writer) => writer.writeUntil(() => stopped)));
    for (let kill = 0; kill < KILLS; kill++) {
      const before = writers.map(({ acknowledged }) => acknowledged);
      await until(() => writers.every(({ acknowledged }, index) => acknowledged > (before[index] ?? 0) + 5));
      const refusals = writers.map(({ refused }) => refused);
      await server.kill9();
      await until(() => writers.every(({ refused }, index) => refused > (refusals[index] ?? 0)));
      await server.restart();
    }
    const last = writers.map(({ acknowledged }) => acknowledged);
    await until(() => writers.every(({ acknowledged }, index) => acknowledged > (last[index] ?? 0)));
    stopped = true;
    await writing;
    for (const { keys, acknowledged, sent } of writers) {
      const values = await Promise.all(
        keys.map(async (key) => Number((await ask(wire, "GET", `${STORE}/${key}`)).text)),
      );
      const [left = Number.NaN, right] = values;
      assert.equal(left, right, "half a transaction");
      assert.ok(left >= acknowledged && left <= sent, `${acknowledged}, ${left}, ${sent}`);
    }
  });
});
