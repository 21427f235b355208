// Three Cassandra nodes of which one is killed while writers write: what was acknowledged is there, what is said about a
// write is true, and everything works again when the node is back.
import assert from "node:assert/strict";
import { type Store, StoreError, type StoreErrorCode } from "#sidecar/stores/store.ts";
import { type CassandraCluster, describeWithOwnCassandra, startOwnCassandra } from "#test/servers/cassandra.ts";
import { call, openStore, read, textOf, write } from "#test/unit/sidecar/stores/cassandra/fixture.ts";
import { until } from "#test/wire/until.ts";

const WRITERS = 4;
const WAIT_MS = 60_000;
const strong = { ...read, strong: true };

/** Nodes learn of each other's end and return only after a while. */
function untilLate(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  return until(what, holds, WAIT_MS);
}

async function codeOf(promise: Promise<unknown>): Promise<StoreErrorCode | null> {
  try {
    await promise;
    return null;
  } catch (error) {
    assert.ok(error instanceof StoreError, String(error));
    return error.code;
  }
}

describeWithOwnCassandra("a cluster of three Cassandra nodes of which one is killed", function (this: Mocha.Suite) {
  this.timeout(300_000);
  let cluster: CassandraCluster;
  const stores: Store[] = [];

  before(async () => {
    cluster = await startOwnCassandra({ nodes: 3 });
  });
  after(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await cluster.stop();
  });

  async function open(table: string, consistency: string, etags = "false"): Promise<Store> {
    const { hosts, port } = cluster;
    const place = { hosts, port: String(port), replicationFactor: "3", table };
    const store = await openStore({ ...place, consistency, etags });
    stores.push(store);
    return store;
  }

  it("loses no acknowledged write, tells the truth about the others, and is whole again with the node", async () => {
    const quorum = await open("guarded", "Quorum", "true");
    const all = await open("guarded", "All", "true");
    const plainAll = await open("plain", "All");
    const victim = cluster.nodes.at(-1);
    assert.ok(victim !== undefined);

    const acknowledged = new Array<number>(WRITERS).fill(0);
    const sent = new Array<number>(WRITERS).fill(0);
    let stopped = false;
    const writing = Promise.all(
      sent.map(async (_, writer) => {
        for (let value = 1; !stopped; value++) {
          sent[writer] = value;
          if ((await codeOf(quorum.set(write(`w${writer}`, String(value)), call))) === null)
            acknowledged[writer] = value;
        }
      }),
    );
    const moved = (): (() => boolean) => {
      const from = [...acknowledged];
      return () => acknowledged.every((value, writer) => value > (from[writer] ?? 0) + 3);
    };
    await untilLate("every writer writes", moved());
    await victim.kill9();
    await untilLate("every writer writes on without the node", moved());
    stopped = true;
    await writing;
    for (let writer = 0; writer < WRITERS; writer++) {
      const value = Number((await quorum.get(`w${writer}`, strong, call))?.bytes.toString());
      const [least = 0, most = 0] = [acknowledged[writer], sent[writer]];
      assert.ok(value >= least && value <= most, `writer ${writer}: ${least} was acknowledged, ${value} is there`);
    }

    // Until its neighbours notice, each by itself, a write to all runs out of time. From then on it is refused before it begins.
    let key = "";
    let turn = 0;
    await untilLate("a write to all nodes is refused", async () => {
      key = `all-${turn++}`;
      const code = await codeOf(plainAll.set(write(key, "1"), call));
      assert.ok(code === "timeout" || code === "unavailable", String(code));
      return code === "unavailable";
    });
    assert.equal(await textOf(await open("plain", "Quorum"), key), null);
    await untilLate("a read of all nodes is refused", async () => {
      const code = await codeOf(plainAll.get(key, read, call));
      assert.ok(code === "timeout" || code === "unavailable", String(code));
      return code === "unavailable";
    });
    assert.equal(await codeOf(plainAll.set(write(key, "1", { strong: true }), call)), null);

    // The same refusal, and the value is there: agreed upon by two of three before it was to be written to all.
    let agreed = "";
    await untilLate("an agreed write to all nodes is refused", async () => {
      agreed = `agreed-${turn++}`;
      const code = await codeOf(all.set(write(agreed, "1", { firstWrite: true }), call));
      assert.ok(code === "timeout" || code === "unknown-outcome", String(code));
      return code === "unknown-outcome";
    });
    assert.equal(String((await all.get(agreed, strong, call))?.bytes), "1");
    assert.equal(await codeOf(all.set(write(agreed, "2", { strong: true }), call)), null);

    await victim.restart();
    await untilLate(
      "a write to all nodes succeeds",
      async () => (await codeOf(plainAll.set(write("back", "1"), call))) === null,
    );
    // Each of the nodes learns by itself that it is back.
    const texts = new Map<string, string | null>();
    for (const [store, key] of [
      [plainAll, "back"],
      [all, agreed],
    ] as const)
      await untilLate(`${key} is read from all nodes`, async () => {
        const code = await codeOf(textOf(store, key).then((text) => texts.set(key, text)));
        assert.ok(code === null || code === "unavailable", String(code));
        return code === null;
      });
    assert.deepEqual([...texts.values()], ["1", "2"]);
  });
});
