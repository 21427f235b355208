import assert from "node:assert/strict";
import { connect } from "node:net";
import { PROBE_CONNECTIONS_MAX, type Probes, startProbes } from "#operator/probes.ts";
import { until } from "#test/wire/until.ts";

/** The other clients come from 127.0.0.1. */
const EVIL = "127.0.0.9";

describe("probes of the operator", () => {
  let probes: Probes;

  beforeEach(async () => {
    probes = await startProbes({
      healthPort: 0,
      metricsPort: 0,
      unhealthy: () => null,
      unready: () => "it reads",
      metrics: () => Promise.resolve("a 1\n"),
    });
  });
  afterEach(() => probes.close());

  async function get(port: number, path: string): Promise<readonly [number, string]> {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`);
    return [answer.status, await answer.text()];
  }

  it("say in a sentence what is missing", async () => {
    assert.deepEqual(await get(probes.healthPort, "/healthz"), [200, "ok\n"]);
    assert.deepEqual(await get(probes.healthPort, "/readyz"), [503, "it reads\n"]);
    assert.deepEqual(await get(probes.metricsPort, "/metrics?x"), [200, "a 1\n"]);
    assert.equal((await get(probes.healthPort, "/metrics"))[0], 404);
  });

  it("answer others while one address has all the connections, and hold no more than they may", async () => {
    for (const port of [probes.healthPort, probes.metricsPort]) {
      const idle = Array.from({ length: PROBE_CONNECTIONS_MAX + 10 }, () =>
        connect({ port, host: "127.0.0.1", localAddress: EVIL }).on("error", () => undefined),
      );
      await until("those above the most are broken off", () => idle.filter(({ closed }) => closed).length === 10);
      assert.notEqual((await get(port, "/healthz"))[0], 503);
      assert.equal(idle.filter(({ closed }) => closed).length, 11);
      for (const socket of idle) socket.destroy();
    }
  });
});
