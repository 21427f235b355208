// A PostgreSQL server that is killed again and again while writers write: what was acknowledged is there, what was refused
// is not, and the sidecar goes on by itself.
import assert from "node:assert/strict";
import { describeWithPgbouncer, type Pgbouncer, startPgbouncer } from "#test/servers/pgbouncer.ts";
import { describeWithPostgres, type PostgresServer, startPostgres } from "#test/servers/postgresql.ts";
import { ask, STORE } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

const WRITERS = 8;
const KILLS = 3;
const WAIT_MS = 20_000;

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + WAIT_MS;
  while (!condition()) {
    assert.ok(Date.now() < end, "it did not happen in time");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

interface Way {
  /** The metadata of the Component for a server that runs. */
  metadata(server: PostgresServer): Promise<Record<string, string>>;
  stop(): Promise<void>;
}

function directly(): Way {
  return { metadata: async (server) => ({ connectionString: server.url() }), stop: async () => undefined };
}

function throughPgbouncer(): Way {
  let pgbouncer: Pgbouncer | null = null;
  return {
    async metadata(server) {
      pgbouncer = await startPgbouncer({ mode: "transaction", serverPort: server.port });
      return { connectionString: server.url("postgres", pgbouncer.port), queryExecMode: "exec", timeout: "5s" };
    },
    stop: async () => pgbouncer?.stop(),
  };
}

function killed(way: Way): void {
  let server: PostgresServer;
  let wire: WireSidecar;

  before(async () => {
    server = await startPostgres();
    const manifests = { "a.yaml": component("statestore", "state.postgresql", await way.metadata(server)) };
    wire = await startWire({ manifests });
  });
  after(async () => {
    await wire.stop();
    await way.stop();
    await server.stop();
  });

  it("loses no acknowledged transaction and none by half, and is found again", async function () {
    this.timeout(60_000);
    /** Per writer: the last number that was acknowledged, and the last that was sent. */
    const acknowledged = new Array<number>(WRITERS).fill(0);
    const sent = new Array<number>(WRITERS).fill(0);
    let refused = 0;
    let stopped = false;
    const write = async (writer: number): Promise<void> => {
      for (let value = 1; !stopped; value++) {
        sent[writer] = value;
        const operations = ["left", "right"].map((side) => ({
          operation: "upsert",
          request: { key: `${side}${writer}`, value },
        }));
        const { status } = await ask(wire, "POST", `${STORE}/transaction`, { operations });
        assert.ok(status === 204 || status === 500, `status ${status}`);
        if (status === 204) acknowledged[writer] = value;
        else {
          refused++;
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      }
    };
    const writing = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
    for (let kill = 0; kill < KILLS; kill++) {
      const before = [...acknowledged];
      await until(() => acknowledged.every((value, writer) => value > (before[writer] ?? 0) + 5));
      const refusedBefore = refused;
      await server.kill9();
      await until(() => refused > refusedBefore + WRITERS);
      await server.restart();
    }
    const last = [...acknowledged];
    await until(() => acknowledged.every((value, writer) => value > (last[writer] ?? 0)));
    stopped = true;
    await writing;
    for (let writer = 0; writer < WRITERS; writer++) {
      const left = Number((await ask(wire, "GET", `${STORE}/left${writer}`)).text);
      const right = Number((await ask(wire, "GET", `${STORE}/right${writer}`)).text);
      assert.equal(left, right, "half a transaction");
      assert.ok(
        left >= (acknowledged[writer] ?? 0) && left <= (sent[writer] ?? 0),
        `${acknowledged[writer]}, ${left}, ${sent[writer]}`,
      );
    }
  });
}

describeWithPostgres("a PostgreSQL server that is killed", () => killed(directly()));

describeWithPgbouncer("a PostgreSQL server behind pgbouncer that is killed", () => killed(throughPgbouncer()));
