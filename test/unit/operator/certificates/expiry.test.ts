import assert from "node:assert/strict";
import { DAY_MS } from "#operator/certificates/authority-state.ts";
import { watchExpiry } from "#operator/certificates/expiry.ts";
import { issueAuthority, issueLeaf } from "#operator/certificates/issue.ts";
import { Listeners } from "#operator/certificates/source.ts";
import type { Told } from "#operator/kube/events.ts";
import { settle } from "#test/unit/sidecar/resiliency/manual-clock.ts";
import { JumpClock } from "./jump-clock.ts";
import { keepLog } from "./log-lines.ts";

const START_MS = Date.UTC(2026, 0, 1);
const HOUR_MS = 3_600_000;
const about = { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "o", uid: "u", resourceVersion: "1" } };

describe("the days that certificates have left", () => {
  it("are a metric always, and a warning that repeats when renewal fails", async () => {
    const ca = await issueAuthority({ fromMs: START_MS, untilMs: START_MS + 365 * DAY_MS });
    const validity = { fromMs: START_MS, untilMs: START_MS + 7 * DAY_MS };
    const clock = new JumpClock(START_MS);
    const listeners = new Listeners();
    const metrics = new Map<string, number>();
    const told: Told[] = [];
    const close = watchExpiry({
      source: {
        current: { ...(await issueLeaf(["localhost"], ca, validity)), expiresAtMs: validity.untilMs },
        trustAnchors: ca.certificatePem,
        onChange: (listener) => listeners.add(listener),
        close: () => Promise.resolve(),
      },
      metrics: { certificateExpires: (name, atSec) => metrics.set(name, atSec) },
      events: { tell: (each) => told.push(each) },
      about,
      clock,
      log: keepLog().log,
    });
    const whenPassed = async (ms: number): Promise<readonly string[]> => {
      told.length = 0;
      clock.jump(ms);
      listeners.tell();
      await settle();
      return told.map(({ note }) => note.replace(/ pannier.*\)/, ""));
    };
    const end = " and was not renewed; see the operator's log and docs/certificates.md";
    try {
      assert.deepEqual(await whenPassed(5 * DAY_MS), []);
      assert.deepEqual(
        [...metrics],
        [
          ["ca", START_MS / 1000 + 365 * 86_400],
          ["serving", START_MS / 1000 + 7 * 86_400],
        ],
      );
      assert.match((await whenPassed(DAY_MS)).join(), /^the serving certificate CN=pannier-operator expires in 1 days/);
      assert.deepEqual(await whenPassed(HOUR_MS), []);
      assert.equal((await whenPassed(6 * HOUR_MS)).length, 1);
      const [authority = "", leaf = ""] = await whenPassed(346 * DAY_MS);
      assert.match(authority, /^the CA CN=pannier-ca .* expires in 12 days/);
      assert.ok(authority.endsWith(end) && leaf.includes("has expired"));
      assert.equal(told[0]?.type, "Warning");
      assert.equal(told[0]?.reason, "CertificateExpires");
    } finally {
      await close();
    }
  });
});
