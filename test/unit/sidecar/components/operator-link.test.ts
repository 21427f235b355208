// The link by itself, on a clock 25 times as fast, to an operator over real TLS.
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, never, systemClock } from "#kit/clock.ts";
import { systemRandom } from "#kit/random.ts";
import { OperatorError } from "#sidecar/components/operator-access.ts";
import { OperatorLink } from "#sidecar/components/operator-link.ts";
import { OperatorReports } from "#sidecar/components/operator-reports.ts";
import type { OperatorSettings } from "#sidecar/settings.ts";
import type { ComponentStatus } from "#sidecar/state/table.ts";
import { store, TestOperator } from "#test/servers/operator.ts";
import { until } from "#test/wire/until.ts";
import { Bench } from "./bench.ts";

const SPEED = 25;

const fastClock: Clock = {
  nowMs: () => systemClock.nowMs(),
  monotonicMs: () => systemClock.monotonicMs() * SPEED,
  after: (delayMs, task) => systemClock.after(delayMs / SPEED, task),
};

describe("the link to the operator", () => {
  let bench: Bench;
  let operator: TestOperator;
  let link: OperatorLink | null;

  beforeEach(async () => {
    bench = new Bench();
    link = null;
    operator = await TestOperator.make();
    await operator.listen();
  });
  afterEach(async () => {
    await link?.close();
    await operator.stop();
  });

  function open(own: Partial<OperatorSettings> = {}): OperatorLink {
    const settings = { ...operator.settings, ...own };
    link = new OperatorLink({ settings, clock: fastClock, random: systemRandom, log: bench.log() });
    link.start();
    return link;
  }

  it("gives a stream up on which nothing comes any more, and begins another", async () => {
    const opened = open();
    await opened.firstSet();
    operator.greeting = "nothing";
    await until("it has given two up", () => operator.opened > 2);
    assert.match(opened.status().problem ?? "", /nothing has come for 35000ms/);
    operator.greeting = "everything";
    await until("it is connected", () => opened.status().connected);
    assert.equal(opened.streams, 2);
  });

  it("takes a heartbeat for a sign of life", async () => {
    const opened = open();
    await opened.firstSet();
    for (let beats = 0; beats < 25; beats++) {
      await new Promise((resolve) => setTimeout(resolve, 80));
      operator.send('{"type":"heartbeat"}\n');
    }
    assert.equal(operator.opened, 1);
  });

  it("trusts nothing but the pod's trust anchors, for the name that it asks", async () => {
    const problem = async (own: Partial<OperatorSettings>): Promise<string> => {
      const opened = open(own);
      await until("it has tried", () => !/not been asked/.test(opened.status().problem ?? ""));
      await opened.close();
      return opened.status().problem ?? "";
    };
    await operator.goAway();
    await operator.listen("0.0.0.0");
    assert.match(await problem({ host: "127.0.0.2" }), /not trusted \(ERR_TLS_CERT_ALTNAME_INVALID\)/);
    await rm(join(operator.folder, "ca.crt"));
    assert.match(await problem({}), /nobody says what certificates to trust/);
    assert.match(
      await problem({ trustAnchors: "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n" }),
      /nobody/,
    );
    assert.equal(operator.tokens.length, 0, "no token went to anybody");
    const trusted = open({ host: "127.0.0.1", trustAnchors: operator.certificates.authority });
    await trusted.firstSet();
  });

  it("asks nobody without a token", async () => {
    await operator.writeToken(" \n");
    const opened = open();
    await until("it has tried", () => /there is no token in/.test(opened.status().problem ?? ""));
    await operator.writeToken("two\nlines");
    await until("it has tried again", () => /is no token/.test(opened.status().problem ?? ""));
    await rm(join(operator.folder, "token"));
    await until("it has tried again", () => /there is no token in/.test(opened.status().problem ?? ""));
    assert.equal(operator.opened, 0);
  });

  it("says each reason once, however often it tries", async () => {
    operator.refusal = 503;
    const opened = open();
    await until("it has tried several times", () => operator.tokens.length > 4);
    assert.match(opened.status().problem ?? "", /answers GET \S+ with the status 503/);
    assert.equal(bench.lines.filter((line) => line.includes("not connected")).length, 1);
  });

  it("reports at most 1000 Components, those with a trouble first", async () => {
    const statuses = Array.from({ length: 1001 }, (_, nth): ComponentStatus => {
      const failed = nth === 1000;
      const message = failed ? "x".repeat(2000) : null;
      return {
        name: `c${nth}`,
        type: "secretstores.t",
        version: "v1",
        state: failed ? "failed" : "ready",
        message,
        isOpening: nth === 999,
      };
    });
    for (const { name } of statuses) operator.put(store(name, "secretstores.t"));
    const opened = open();
    await opened.firstSet();
    operator.refusal = 500;
    const components = { statuses: () => statuses, find: () => undefined };
    const parts = { link: opened, components, clock: fastClock, random: systemRandom, log: bench.log() };
    const reports = new OperatorReports(parts);
    reports.start();
    await until("it was refused", () => bench.logged(/did not take a report/));
    operator.refusal = null;
    await until("it arrives", () => operator.reports.length > 0);
    await reports.close();
    const [report] = operator.reports;
    assert.deepEqual([report?.components.length, report?.components[0]?.name], [1000, "c1000"]);
    assert.equal(report?.components[0]?.message?.length, 1000);
    const generations = new Map(report?.components.map(({ name, generation }) => [name, generation]));
    assert.deepEqual([generations.get("c998"), generations.get("c999")], [1, undefined]);
    assert.equal(operator.reports.length, 1, "the same is not told twice");
    operator.refusal = 403;
    await assert.rejects(opened.report("{}", never), OperatorError);
  });
});
