// What becomes of a commit whose answer is lost: sent again where that is harmless, found by what it wrote where it is not,
// and told as unknown where neither helps. The calls are real; only their answers get lost on the way back.
import assert from "node:assert/strict";
import type { CommitRequest, CommitResponse } from "#proto/gen/clients/google/spanner/v1/spanner.ts";
import type { How } from "#sidecar/stores/google/client.ts";
import { statusError } from "#sidecar/stores/google/failures.ts";
import { Calls, type ReadEnd, type RowsRequest, type Take } from "#sidecar/stores/spanner/calls.ts";
import { describeWithSpanner } from "#test/servers/spanner.ts";
import { call, etagOf, onOneServer, removal, textOf, upsert, write } from "./fixture.ts";

const lost = (isWrite: boolean): Error =>
  statusError({ status: { code: 14, details: "Connection dropped" }, server: "spanner at test", isWrite });
const aborted = (): Error =>
  statusError({ status: { code: 10, details: "Aborted" }, server: "spanner at test", isWrite: true });

/** What happens to the next commits and reads, one after the other; then nothing. */
type Fate = "answer lost" | "never arrives" | "aborted" | "well";

class BadLine extends Calls {
  readonly commits: Fate[];
  readonly reads: Fate[];
  committed = 0;

  constructor(options: ConstructorParameters<typeof Calls>[0], commits: Fate[], reads: Fate[] = []) {
    super(options);
    this.commits = commits;
    this.reads = reads;
  }

  override async commit(request: CommitRequest, how: How): Promise<CommitResponse> {
    const fate = this.commits.shift() ?? "well";
    if (fate === "never arrives") throw lost(true);
    if (fate === "aborted") throw aborted();
    const answer = await super.commit(request, how);
    this.committed++;
    if (fate === "answer lost") throw lost(true);
    return answer;
  }

  override async read(session: string, request: RowsRequest, how: How, take: Take): Promise<ReadEnd> {
    const fate = this.reads.shift() ?? "well";
    if (fate === "aborted") throw aborted();
    if (fate !== "well") throw lost(false);
    return super.read(session, request, how, take);
  }
}

const UNKNOWN = {
  code: "unknown-outcome",
  message: /^lost the connection to spanner at test; the write may have happened$/,
};

describeWithSpanner("a commit whose answer is lost", () => {
  const { open, over } = onOneServer();

  beforeEach(() => open());

  it("has succeeded when what it wrote is there, and is not sent twice", async () => {
    let line: BadLine | null = null;
    const store = over((options) => {
      line = new BadLine(options, ["answer lost"]);
      return line;
    });
    await store.set(write("plain", "1"), call);
    assert.equal(await textOf(store, "plain"), "1");
    assert.equal((line as BadLine | null)?.committed, 1);
  });

  it("is unknown when nothing of it is there", async () => {
    const store = over((options) => new BadLine(options, ["never arrives"]));
    await assert.rejects(store.set(write("nothing", "1"), call), UNKNOWN);
    assert.equal(await textOf(store, "nothing"), null);
  });

  it("is unknown when somebody has written meanwhile", async () => {
    const other = await open();
    const store = over(
      (options) =>
        new (class extends BadLine {
          override async commit(request: CommitRequest, how: How): Promise<CommitResponse> {
            await super.commit(request, how).catch(() => undefined);
            await other.set(write("contested", "theirs"), call);
            throw lost(true);
          }
        })(options, []),
    );
    await assert.rejects(store.set(write("contested", "ours"), call), UNKNOWN);
    assert.equal(await textOf(store, "contested"), "theirs");
  });

  it("is looked for again when the first look is lost too", async () => {
    const store = over(
      (options) => new BadLine(options, ["answer lost"], ["answer lost", "answer lost", "answer lost"]),
    );
    await store.set(write("patient", "1"), call);
    assert.equal(await textOf(store, "patient"), "1");
  });

  it("is unknown for a plain delete, which leaves nothing to find", async () => {
    const store = over((options) => new BadLine(options, ["well", "answer lost"]));
    await store.set(write("deleted", "1"), call);
    await assert.rejects(store.remove(removal("deleted"), call), UNKNOWN);
    assert.equal(await textOf(store, "deleted"), null);
  });

  it("is sent again with a condition, which is applied once", async () => {
    const store = over((options) => new BadLine(options, ["well", "answer lost", "answer lost"]));
    await store.set(write("conditional", "1"), call);
    const etag = await etagOf(store, "conditional");
    await store.transact?.([upsert("conditional", "2", { etag }), upsert("beside", "2")], call);
    assert.deepEqual([await textOf(store, "conditional"), await textOf(store, "beside")], ["2", "2"]);
  });

  it("is applied by the second sending where the first never arrived", async () => {
    const store = over((options) => new BadLine(options, ["well", "never arrives"]));
    await store.set(write("arrives", "1"), call);
    await store.remove(removal("arrives", { etag: await etagOf(store, "arrives") }), call);
    assert.equal(await textOf(store, "arrives"), null);
  });

  it("is found again in whichever of two sendings, which Spanner may want, the answer is lost", async () => {
    const other = await open();
    // The fake wants each eighth commit twice: one of these is answered so, and loses the second answer.
    for (let turn = 0; turn < 9; turn++) {
      const store = over((options) => new BadLine(options, ["well", "answer lost"]));
      await store.set(write("tokens", String(turn), { firstWrite: turn === 0 }), call);
      await other.set(write("tokens", `${turn}-2`, { etag: await etagOf(other, "tokens") }), call);
      await store.set(write("tokens", `${turn}-3`, { etag: await etagOf(other, "tokens") }), call);
      assert.equal(await textOf(other, "tokens"), `${turn}-3`);
    }
  });

  it("stays unknown where the second sending says no", async () => {
    const store = over((options) => new BadLine(options, ["well", "never arrives", "aborted"]));
    await store.set(write("no", "1"), call);
    const etag = await etagOf(store, "no");
    await assert.rejects(store.set(write("no", "2", { etag }), call), UNKNOWN);
  });
});

describeWithSpanner("an attempt of a transaction", () => {
  const { open, over } = onOneServer();

  beforeEach(() => open());

  it("is made anew when Spanner ends it, with or without a condition", async () => {
    const store = over((options) => new BadLine(options, ["aborted", "aborted", "well", "aborted"], ["aborted"]));
    await store.set(write("again", "1"), call);
    await store.set(write("new", "2", { firstWrite: true }), call);
    assert.deepEqual([await textOf(store, "again"), await textOf(store, "new")], ["1", "2"]);
  });

  it("is made anew when its look is lost, once", async () => {
    const store = over((options) => new BadLine(options, [], ["answer lost"]));
    await store.set(write("looked", "1", { firstWrite: true }), call);
    const worse = over((options) => new BadLine(options, [], ["answer lost", "answer lost"]));
    await assert.rejects(worse.set(write("other", "1", { firstWrite: true }), call), { code: "unavailable" });
    assert.equal(await textOf(store, "other"), null);
  });

  it("writes nothing when Spanner has begun none, for then nothing guards its condition", async () => {
    class Unbound extends Calls {
      override async read(session: string, request: RowsRequest, how: How, take: Take): Promise<ReadEnd> {
        return { ...(await super.read(session, request, how, take)), id: new Uint8Array(0) };
      }
    }
    const store = over((options) => new Unbound(options));
    await assert.rejects(store.set(write("unbound", "1", { firstWrite: true }), call), { code: "failed" });
    assert.equal(await textOf(store, "unbound"), null);
  });

  it("ends with the call's time, and has written nothing", async () => {
    const store = over((options) => new BadLine(options, new Array(20_000).fill("aborted")));
    const signal = AbortSignal.timeout(2000);
    await assert.rejects(store.set(write("never", "1"), { signal }), { code: "unavailable", message: /for others/ });
    assert.equal(await textOf(store, "never"), null);
  });
});
