import assert from "node:assert/strict";
import { RUN_GRAMMAR } from "#cli/run/flags.ts";
import { makePlan, type Plan, withFreePorts } from "#cli/run/plan.ts";
import { parseArguments } from "#kit/arguments.ts";
import { freePort } from "#test/servers/free-port.ts";
import { testHost } from "../output.ts";

async function planFor(...argv: string[]): Promise<Plan> {
  const parsed = parseArguments(RUN_GRAMMAR, ["--app-id=x", "--resources-path=.", ...argv]);
  assert.ok("words" in parsed);
  return makePlan(parsed, testHost());
}

describe("the ports of a plan", () => {
  for (const asked of ["dapr-grpc-port", "metrics-port"]) {
    it(`leave --${asked} to who asked for it, though it is the default of another`, async () => {
      const port = await freePort();
      const plan = await planFor(`--${asked}=${port}`);
      const chosen = await withFreePorts({ ...plan, settings: { ...plan.settings, httpPort: port } });
      assert.equal(asked === "metrics-port" ? chosen.metricsPort : chosen.grpcPort, port);
      assert.notEqual(chosen.httpPort, port);
    });
  }

  it("take no notice of a metrics port that is not to be served", async () => {
    const port = String(await freePort());
    const plan = await planFor("-H", port, "-M", port, "--enable-metrics=false");
    assert.equal((await withFreePorts(plan)).httpPort, Number(port));
  });
});
