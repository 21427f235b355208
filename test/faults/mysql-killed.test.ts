// A MariaDB server that is killed again and again while writers write: what was acknowledged is there, what was refused is
// not, no transaction is there by half, and the sidecar goes on by itself.
import { describeWithMysql, type MysqlServer, startMysql } from "#test/servers/mysql.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { whileWriting } from "./writers.ts";

const KILLS = 3;

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
    this.timeout(300_000);
    await whileWriting({ wire, by: "transaction" }, async (writers) => {
      for (let kill = 0; kill < KILLS; kill++) {
        await writers.goOn();
        const before = [...writers.refusals];
        await server.kill9();
        await writers.until("each writer is refused", () =>
          writers.refusals.every((count, writer) => count > (before[writer] ?? 0)),
        );
        await server.restart();
      }
      await writers.goOn(1);
    });
  });
});
