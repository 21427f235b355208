import assert from "node:assert/strict";
import { cut } from "#operator/components/status.ts";
import { HEARING_MS, NO_STATUS_RETRY_MS } from "#operator/components/status-writer.ts";
import { type Bench, kubeError, secretRef, startBench } from "./bench.ts";

/** A Component that surely cannot work. */
const BROKEN = { type: "state.redis", metadata: [{ name: "redisMaxRetries", value: "ten" }] };

describe("ComponentController", () => {
  let bench: Bench;

  beforeEach(async () => {
    bench = await startBench();
  });
  afterEach(() => bench.close());

  const inTable = () => [...bench.table.of("shop")].map(({ name }) => name);

  describe("the table for sidecars", () => {
    it("has a state store with its scopes, without what only the API server needs", async () => {
      await bench.put({ scopes: ["app"] });
      const [entry] = [...bench.table.of("shop")];
      assert.deepEqual(entry?.scopes, ["app"]);
      assert.deepEqual(entry?.resource.metadata, {
        name: "orders",
        namespace: "shop",
        uid: "uid-orders",
        generation: 1,
      });
      assert.deepEqual(Object.keys(entry?.resource ?? {}).sort(), ["apiVersion", "kind", "metadata", "scopes", "spec"]);
    });

    it("stays the same when only the status was written", async () => {
      let changes = 0;
      bench.table.onChange(() => changes++);
      await bench.put();
      await bench.rest(5000);
      assert.equal(bench.writes, 1);
      assert.equal(changes, 1);
    });

    it("has a Component with faults too: its sidecars keep their last good one and say so", async () => {
      await bench.put(BROKEN);
      assert.deepEqual(inTable(), ["orders"]);
      assert.equal(bench.verdict("MetadataValid"), "False Invalid");
    });

    it("has a secret store, and no Component of another building block, which gets no status either", async () => {
      await bench.put({ name: "vault", type: "secretstores.local.file" });
      await bench.put({ name: "bus", type: "pubsub.redis" });
      assert.deepEqual(inTable(), ["vault"]);
      assert.equal(bench.condition("Ready", "bus"), undefined);
    });

    it("loses a Component that is gone, and one that became another building block's", async () => {
      await bench.put({ name: "a" });
      await bench.put({ name: "b" });
      bench.components.remove("shop/a");
      assert.equal(bench.condition("Ready", "b")?.status, "Unknown");
      await bench.put({ name: "b", type: "bindings.cron" });
      await bench.rest();
      assert.deepEqual(inTable(), []);
      assert.equal(bench.condition("Ready", "b"), undefined, "its status goes with it");
      assert.deepEqual(bench.counts.at(-1), { True: 0, False: 0, Unknown: 0 });
    });

    it("never has one that was gone before it was judged", async () => {
      let changes = 0;
      bench.table.onChange(() => changes++);
      bench.components.put(bench.componentOf({}));
      bench.components.remove("shop/orders");
      await bench.rest();
      assert.equal(changes, 0);
    });

    it("is synced when all of the first list is in it", async () => {
      bench.components.put(bench.componentOf({ name: "a", metadata: [secretRef("a")] }));
      bench.components.put(bench.componentOf({ name: "b", type: "pubsub.redis" }));
      assert.equal(bench.controller.synced, false);
      bench.components.replace("", [...bench.components.all()]);
      assert.equal(bench.controller.synced, false);
      await bench.rest();
      assert.equal(bench.controller.synced, true);
    });
  });

  describe("the status", () => {
    it("is written once when nothing changes", async () => {
      await bench.put();
      for (let i = 0; i < 3; i++) {
        bench.controller.addAll();
        await bench.rest(5000);
      }
      assert.equal(bench.writes, 1);
    });

    it("takes the word of a Component that names a container for its type, and takes it back", async () => {
      const object = await bench.put({ type: "state.ours" });
      assert.equal(bench.verdict("MetadataValid"), "Unknown TypeUnknown");
      const annotated = (resourceVersion: string, annotations: Record<string, string>) =>
        bench.components.put({ ...object, metadata: { ...object.metadata, resourceVersion, annotations } });
      annotated("a", { "dapr.io/component-container": "" });
      await bench.rest(2000);
      assert.equal(bench.verdict("MetadataValid"), "True Valid");
      const [entry] = [...bench.table.of("shop")];
      assert.doesNotMatch(JSON.stringify(entry?.resource), /component-container/);
      annotated("b", {});
      await bench.rest(2000);
      assert.equal(bench.verdict("MetadataValid"), "Unknown TypeUnknown");
    });

    it("of a type that only pods know is what their sidecars say, and stays while a new leader hears them again", async () => {
      await bench.put({ type: "state.ours" });
      assert.equal(bench.verdict("Ready"), "Unknown TypeUnknown");
      assert.match(bench.condition("Ready")?.message ?? "", /else spec\.type: got "state\.ours", want a known type/);
      assert.deepEqual(inTable(), ["orders"]);
      bench.report("app-1", { state: "failed", reachable: null, message: "no socket ours.* in /sockets" });
      await bench.rest(2000);
      assert.equal(bench.verdict("Ready"), "False NotLoaded");
      bench.report("app-1");
      await bench.rest(2000);
      assert.equal(bench.verdict("Ready"), "True Ready");
      const { writes } = bench;
      bench.leads = false;
      bench.reports.remove("uid-app-1");
      await bench.rest(2000);
      bench.leads = true;
      bench.controller.addAll();
      await bench.rest(HEARING_MS / 2);
      assert.deepEqual([bench.writes, bench.verdict("Ready")], [writes, "True Ready"]);
      await bench.rest(HEARING_MS);
      assert.equal(bench.verdict("Ready"), "Unknown TypeUnknown");
      assert.deepEqual(
        bench.told.map(({ type, reason }) => `${type} ${reason}`),
        ["Warning NotLoaded", "Normal Ready"],
      );
    });

    it("of a type that nobody can bring is False at once", async () => {
      await bench.put({ type: "sate.redis" });
      assert.equal(bench.verdict("Ready"), "False TypeUnknown");
    });

    it("is judged once per generation", async () => {
      await bench.put();
      bench.report("app-1");
      await bench.rest(2000);
      assert.equal(bench.judgements, 1);
      await bench.put();
      assert.equal(bench.judgements, 2);
    });

    it("of many reports at once costs a few writes", async () => {
      await bench.put();
      const { timers } = bench.clock;
      for (let i = 0; i < 500; i++) bench.report(`app-${i}`);
      assert.equal(bench.clock.timers, timers + 1);
      await bench.rest(3000);
      assert.equal(bench.verdict("Ready"), "True Ready");
      assert.equal(bench.writes, 2);
    });

    it("is written at most once a second, and in the end as it is then", async () => {
      for (let i = 1; i <= 50; i++) {
        await bench.put({ metadata: [{ name: `field${i}`, value: "" }] });
        await bench.rest(100);
      }
      assert.ok(bench.writes <= 6, String(bench.writes));
      await bench.rest(1000);
      assert.equal(bench.condition("Ready")?.observedGeneration, 50);
    });

    it("is left to the leader, and written when one becomes it", async () => {
      bench.leads = false;
      await bench.put(BROKEN);
      assert.deepEqual([bench.writes, bench.told.length, inTable().length], [0, 0, 1]);
      bench.leads = true;
      bench.controller.addAll();
      await bench.rest();
      assert.equal(bench.writes, 1);
    });

    describe("of a replica that begins to lead", () => {
      /** The former leader has heard two sidecars, this one none of them yet. */
      const takeOver = async (): Promise<void> => {
        await bench.put();
        for (const pod of ["app-1", "app-2"]) bench.report(pod);
        await bench.rest(2000);
        bench.leads = false;
        for (const pod of ["app-1", "app-2"]) bench.reports.remove(`uid-${pod}`);
        await bench.rest(2000);
        bench.leads = true;
        bench.controller.addAll();
        await bench.rest();
      };

      it("stays while the sidecars come back one by one", async () => {
        await takeOver();
        const { writes } = bench;
        for (const pod of ["app-1", "app-2"]) {
          await bench.rest(20_000);
          bench.report(pod);
        }
        await bench.rest(HEARING_MS);
        assert.equal(bench.writes, writes);
        assert.deepEqual(bench.counts.at(-1), { True: 1, False: 0, Unknown: 0 });
        assert.equal(bench.told.filter(({ reason }) => reason === "Ready").length, 1);
      });

      it("says in the end that they did not", async () => {
        await takeOver();
        await bench.rest(HEARING_MS);
        assert.equal(bench.verdict("Ready"), "Unknown NoSidecar");
      });

      it("holds back no trouble, and nothing about another generation", async () => {
        await takeOver();
        bench.report("app-1", { reachable: false });
        await bench.rest(2000);
        assert.equal(bench.verdict("Ready"), "False Unreachable");
        // This one was heard, and has gone since.
        bench.reports.remove("uid-app-1");
        await bench.rest(2000);
        assert.equal(bench.verdict("Ready"), "Unknown NoSidecar");
        await bench.put(BROKEN);
        await bench.rest(2000);
        assert.equal(bench.verdict("Ready"), "False Invalid");
      });
    });

    it("is whole text, also where a message is cut", async () => {
      assert.equal(cut(`${"x".repeat(1022)}\u{1F600}tail`).isWellFormed(), true);
      assert.equal(cut("x".repeat(2000)).length, 1024);
    });

    it("is counted by a follower as the leader has written it", async () => {
      await bench.put();
      bench.report("app-1");
      await bench.rest(2000);
      bench.leads = false;
      bench.reports.remove("uid-app-1");
      await bench.rest(2000);
      assert.deepEqual(bench.counts.at(-1), { True: 1, False: 0, Unknown: 0 });
    });

    it("of a failed write is tried again, and the table does not wait for it", async () => {
      bench.refuse = ({ method }) => (method === "PATCH" ? kubeError(500) : null);
      await bench.put();
      assert.deepEqual(inTable(), ["orders"]);
      assert.equal(bench.told.length, 0);
      bench.refuse = () => null;
      await bench.rest(2000);
      assert.equal(bench.verdict("Ready"), "Unknown NoSidecar");
    });

    it("is not given to an object that took the name over", async () => {
      await bench.put();
      bench.report("app-1");
      await bench.rest(2000);
      assert.equal(bench.verdict("Ready"), "True Ready");
      bench.components.remove("shop/orders");
      await bench.put({ uid: "another", generation: 1 });
      assert.equal(bench.verdict("Ready"), "Unknown NoSidecar");
    });

    it("is put right when somebody else changes it", async () => {
      const object = await bench.put();
      bench.components.put({ ...object, metadata: { ...object.metadata, resourceVersion: "edited" }, status: {} });
      await bench.rest(20_000);
      assert.equal(bench.verdict("Ready"), "Unknown NoSidecar");
    });

    it("is told by Events, one for each change", async () => {
      bench.setSecret("redis", { password: "x" });
      await bench.put({ metadata: [secretRef("redis", "passwort")] });
      await bench.put({ metadata: [secretRef("redis", "password")] });
      await bench.rest(2000);
      bench.report("app-1", { generation: 2 });
      await bench.rest(2000);
      bench.report("app-1", { generation: 2, reachable: false, message: "connection refused" });
      await bench.rest(2000);
      assert.deepEqual(
        bench.told.map(({ type, reason }) => `${type} ${reason}`),
        ["Warning KeyNotFound", "Normal SecretsResolved", "Normal Ready", "Warning Unreachable"],
      );
    });
  });

  describe("where the resource has no status", () => {
    const noStatus = () => {
      bench.refuse = ({ path }) => (path.endsWith("/status") ? kubeError(404) : null);
    };

    it("goes on serving, says so once, and tells by Events", async () => {
      noStatus();
      await bench.put({ name: "a", ...BROKEN });
      await bench.put({ name: "b", metadata: [secretRef("none")] });
      assert.deepEqual(inTable(), ["a", "b"]);
      assert.deepEqual(
        bench.told.map(({ reason }) => reason),
        ["Invalid", "SecretNotFound"],
      );
      assert.equal(bench.lines.filter((line) => line.includes("have no status")).length, 1);
      assert.equal(bench.writes, 1);
    });

    it("tells each trouble once", async () => {
      noStatus();
      await bench.put(BROKEN);
      for (let i = 0; i < 3; i++) {
        bench.controller.addAll();
        await bench.rest(5000);
      }
      assert.equal(bench.told.length, 1);
    });

    it("tries again later, so that a CRD with status put in place shows", async () => {
      noStatus();
      await bench.put(BROKEN);
      bench.refuse = () => null;
      await bench.rest(NO_STATUS_RETRY_MS + 1000);
      assert.equal(bench.verdict("Ready"), "False Invalid");
      assert.equal(bench.told.length, 1);
    });

    it("says so once, however often it has looked again", async () => {
      noStatus();
      await bench.put(BROKEN);
      for (let i = 0; i < 3; i++) await bench.rest(NO_STATUS_RETRY_MS);
      assert.equal(bench.writes, 4);
      assert.equal(bench.lines.filter((line) => line.includes("have no status")).length, 1);
    });

    it("is not mistaken for a Component that is gone", async () => {
      bench.refuse = ({ path }) => (path.includes("/components/") ? kubeError(404) : null);
      await bench.put();
      assert.deepEqual(bench.lines, []);
    });
  });
});
