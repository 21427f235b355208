// A session with ZooKeeper while it is being made: what becomes of a caller who leaves meanwhile.
import assert from "node:assert/strict";
import { systemRandom } from "#kit/random.ts";
import { exists } from "#sidecar/stores/zookeeper/messages.ts";
import { Session } from "#sidecar/stores/zookeeper/session.ts";
import { startImpostor } from "#test/servers/impostor.ts";
import { keeping } from "#test/stores/bench.ts";
import { listeningLog } from "#test/stores/opening.ts";
import { ManualClock } from "#test/unit/sidecar/resiliency/manual-clock.ts";

const LEFT = { code: "timeout", message: "the caller left before ZooKeeper answered" };

describe("a session with ZooKeeper that is being made", () => {
  const { keep } = keeping();

  it("is waited for no longer by a caller who leaves", async () => {
    const silent = await startImpostor({});
    keep(silent, () => silent.stop());
    const [host = "", port] = silent.address.split(":");
    // Its hands stand still, so that no time for connecting ends.
    const clock = new ManualClock();
    const servers = [{ host, port: Number(port), name: silent.address }];
    const session = new Session({ servers, timeoutMs: 4000, clock, random: systemRandom, log: listeningLog() });
    keep(session, () => session.close());
    const leaving = new AbortController();
    const asking = session.exchange([exists("/a")], leaving.signal);
    leaving.abort();
    await assert.rejects(asking, LEFT);
  });
});
