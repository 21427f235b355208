// A PostgreSQL server that is killed again and again while writers write: what was acknowledged is there, what was refused
// is not, and the sidecar goes on by itself.
import { describeWithPgbouncer, type Pgbouncer, startPgbouncer } from "#test/servers/pgbouncer.ts";
import { describeWithPostgres, type PostgresServer, startPostgres } from "#test/servers/postgresql.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { whileWriting } from "./writers.ts";

const WRITERS = 8;
const KILLS = 3;

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
    this.timeout(300_000);
    await whileWriting({ wire, writers: WRITERS, by: "transaction" }, async (writers) => {
      for (let kill = 0; kill < KILLS; kill++) {
        await writers.goOn();
        await server.kill9();
        await writers.areRefused(WRITERS + 1);
        await server.restart();
      }
      await writers.goOn(1);
    });
  });
}

describeWithPostgres("a PostgreSQL server that is killed", () => killed(directly()));

describeWithPgbouncer("a PostgreSQL server behind pgbouncer that is killed", () => killed(throughPgbouncer()));
