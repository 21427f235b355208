import assert from "node:assert/strict";
import { never } from "#kit/clock.ts";
import { minorVersion } from "#operator/cluster-version.ts";
import { settle } from "../sidecar/resiliency/manual-clock.ts";
import { failure, testContext } from "./kube/scripted-client.ts";

describe("version of the cluster", () => {
  it("is asked for until the API server says it", async () => {
    const answers: unknown[] = [failure(0, "refused"), failure(500, "broken"), { major: "1", minor: "31+" }];
    const context = testContext(() => {
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return answer;
    });
    const version = minorVersion(context, never);
    await context.clock.advance(60_000);
    await settle();
    assert.equal(await version, 31);
    assert.equal(answers.length, 0);
  });

  it("is 0 where it is no number", async () => {
    for (const answer of [{}, null, { minor: "x" }])
      assert.equal(
        await minorVersion(
          testContext(() => answer),
          never,
        ),
        0,
      );
  });

  it("is given up when the operator is to end", async () => {
    const stopping = new AbortController();
    const context = testContext(() => {
      throw failure(0, "refused");
    });
    const version = minorVersion(context, stopping.signal);
    await settle();
    stopping.abort();
    await assert.rejects(version, /given up/);
  });
});
