// A sidecar whose SQL Server goes away, comes back, hangs, and does not let it in any more. The server is one of ours that
// speaks TDS and knows no SQL: what is proved is what clients of the sidecar are told, when, and that it goes on by itself.
import assert from "node:assert/strict";
import { type TdsAnswer, type TdsRequest, TdsServer } from "#test/servers/tds/tds-server.ts";
import { columnsAnswer, connectionTo, METADATA, V2 } from "#test/unit/sidecar/stores/sqlserver/fixture.ts";
import { ask, STORE } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { until } from "#test/wire/until.ts";

const TABLES = { state: V2, dapr_metadata: METADATA };

describe("a SQL Server that fails", () => {
  let server: TdsServer;
  let wire: WireSidecar;
  let answer: (request: TdsRequest) => TdsAnswer | null;
  let isLocked: boolean;

  function start(port?: number): Promise<TdsServer> {
    return TdsServer.start({
      ...(port === undefined ? {} : { port }),
      login: () => (isLocked ? { number: 18_456, severity: 14 } : null),
      answer: (request) => columnsAnswer(request, TABLES) ?? answer(request),
    });
  }
  beforeEach(async () => {
    answer = () => null;
    isLocked = false;
    server = await start();
    const metadata = { connectionString: connectionTo(server.port), timeoutInSeconds: "4" };
    const manifest = component("statestore", "state.sqlserver", metadata).replace("version: v1", "version: v2");
    wire = await startWire({ manifests: { "a.yaml": manifest } });
  });
  afterEach(async () => {
    await wire.stop();
    await server.stop();
  });

  const save = (): Promise<{ readonly status: number; readonly text: string }> =>
    ask(wire, "POST", STORE, [{ key: "k", value: 1 }]);
  const get = (): Promise<{ readonly status: number; readonly text: string }> => ask(wire, "GET", `${STORE}/k`);

  it("warns at the start that it was never run against a real one", () => {
    assert.ok(wire.log.some((line) => line.includes("never run against a real server")));
  });

  it("is named in the answers while it is away, and found again when it is back", async () => {
    const { port } = server;
    await server.stop();
    await get();
    const { status, text } = await save();
    assert.equal(status, 500);
    assert.match(text, new RegExp(`statestore.*cannot connect to sqlserver at 127\\.0\\.0\\.1:${port}`));
    server = await start(port);
    await until("a read succeeds", async () => (await get()).status === 204);
    assert.equal((await save()).status, 204);
  });

  it("leaves open in words what became of a save when the connection breaks, and goes on", async () => {
    answer = ({ text }) => (text.includes("@Data") ? { instead: "cut" } : null);
    const { status, text } = await save();
    assert.deepEqual([status, /the write may have happened/.test(text)], [500, true]);
    answer = () => null;
    await until("a save succeeds", async () => (await save()).status === 204);
  });

  it("ends requests in their time when it hangs, and goes on", async () => {
    answer = ({ text }) => (text.includes("@Key") ? { instead: "hang" } : null);
    const answers = await Promise.all([save(), get()]);
    for (const { status, text } of answers)
      assert.deepEqual([status, /within timeoutInSeconds/.test(text)], [500, true]);
    answer = () => null;
    assert.equal((await save()).status, 204);
  });

  it("says that the password is refused once it was changed there, without showing it", async () => {
    isLocked = true;
    server.cut();
    let told = "";
    await until("the server has refused the password", async () => {
      told = (await get()).text;
      return told.includes("18456");
    });
    assert.match(told, /refused the user, the password or the token/);
    assert.doesNotMatch(told + wire.log.join(), /secret-password/);
    isLocked = false;
    await until("a read succeeds", async () => (await get()).status === 204);
  });
});
