import assert from "node:assert/strict";
import { PeerIntake } from "#operator/api/peer-intake.ts";
import type { PeerMessage } from "#operator/api/peer-message.ts";
import { type PodReport, ReportTable } from "#operator/api/report-table.ts";
import { SidecarReports } from "#operator/api/sidecar-reports.ts";
import { ManualClock } from "#test/unit/sidecar/resiliency/manual-clock.ts";

const SIDECAR = { namespace: "shop", podName: "cart-1", podUid: "u1", appId: "cart", configuration: "" };

function reported(generation: number): PodReport["components"] {
  return [{ name: "orders", uid: "u", generation, state: "ready", reachable: true, message: null }];
}

function says(generation: number, isConnected = true): PeerMessage {
  const { configuration: _, ...pod } = SIDECAR;
  const reports = [{ report: { ...pod, components: reported(generation) }, isConnected }];
  return { round: { first: true, last: true }, reports, gone: [] };
}

const GONE: PeerMessage = { round: null, reports: [], gone: [SIDECAR.podUid] };

describe("what the leader takes from followers", () => {
  let table: ReportTable;
  let local: SidecarReports;
  let intake: PeerIntake;

  beforeEach(() => {
    const clock = new ManualClock();
    table = new ReportTable();
    local = new SidecarReports(table, clock);
    intake = new PeerIntake({ table, local, clock });
  });

  function known(): number | undefined {
    return table.of("shop", "orders")[0]?.generation;
  }

  it("is a sidecar's newest word, whichever replica has it", () => {
    local.connected(SIDECAR);
    local.put(SIDECAR, reported(1));
    assert.equal(intake.take("b", says(2)), true);
    assert.equal(intake.take("c", says(3)), true);
    assert.equal(known(), 3);
    local.put(SIDECAR, reported(4));
    assert.equal(known(), 4);
  });

  it("is not taken back by a replica that the sidecar has left", () => {
    local.connected(SIDECAR);
    local.put(SIDECAR, reported(1));
    intake.take("b", says(2));
    intake.take("c", says(3));
    intake.take("b", GONE);
    assert.equal(known(), 3);
    intake.take("b", says(2, false));
    assert.equal(known(), 3);
  });

  it("gives way to what is known here when it is taken back", () => {
    local.connected(SIDECAR);
    local.put(SIDECAR, reported(1));
    intake.take("b", says(2));
    intake.take("b", GONE);
    assert.equal(known(), 1);
  });

  it("begins with everything", () => {
    assert.equal(intake.take("b", { ...says(1), round: null }), false);
    assert.equal(intake.take("b", { ...says(1), round: { first: false, last: true } }), false);
    assert.equal(known(), undefined);
    assert.equal(intake.take("b", { ...says(1), round: { first: true, last: false } }), true);
    assert.equal(intake.take("b", { ...says(2), round: null }), true);
    assert.equal(known(), 2);
  });

  it("is what the last round named", () => {
    intake.take("b", says(1));
    intake.take("b", { round: { first: true, last: false }, reports: [], gone: [] });
    assert.equal(known(), 1);
    intake.take("b", { round: { first: false, last: true }, reports: [], gone: [] });
    assert.equal(known(), undefined);
  });

  it("comes from sixteen followers at most", () => {
    for (let i = 0; i < 16; i++) assert.equal(intake.take(`replica ${i}`, says(i)), true);
    assert.equal(intake.take("one more", says(99)), false);
    assert.equal(known(), 15);
  });
});
