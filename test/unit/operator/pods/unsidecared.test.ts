import assert from "node:assert/strict";
import { GRACE_MS, LOOK_AGAIN_MS, LOOKS_MAX, ROUND_MS } from "#operator/pods/unsidecared.ts";
import { PodBench, refused } from "./bench.ts";
import { podOf } from "./pods.ts";

describe("pods without a sidecar", () => {
  let bench: PodBench;

  beforeEach(() => {
    bench = new PodBench();
  });
  afterEach(() => bench.close());

  it("are told once by an Event on the pod, and counted", async () => {
    bench.cache.put(podOf("app"));
    await bench.later();
    await bench.clock.advance(2 * LOOK_AGAIN_MS);
    assert.deepEqual(
      bench.told.map(({ about, type, reason }) => [about.kind, about.metadata.uid, type, reason]),
      [["Pod", "uid-app", "Warning", "SidecarMissing"]],
    );
    assert.equal(bench.counts.at(-1), 1);
  });

  it("have time to get one", async () => {
    bench.cache.put(podOf("app"));
    await bench.clock.advance(GRACE_MS - 1);
    bench.cache.put(podOf("app", { version: "2", labels: { "dapr.io/sidecar-injected": "true" } }));
    await bench.later();
    assert.deepEqual([bench.told.length, bench.asked.length], [0, 0]);
  });

  it("are meant by either annotation, in any case of the word", async () => {
    bench.cache.put(podOf("a", { annotations: { "pannier.io/enabled": "True" } }));
    bench.cache.put(podOf("b", { annotations: { "dapr.io/enabled": "false" } }));
    bench.cache.put(podOf("c", { annotations: {} }));
    await bench.later();
    assert.deepEqual(bench.asked, ["a"]);
  });

  it("are those that ask Pannier, where Dapr is beside it", async () => {
    bench.close();
    bench = new PodBench(["pannier.io/"]);
    bench.cache.put(podOf("daprs", { annotations: { "dapr.io/enabled": "true" } }));
    bench.cache.put(podOf("ours", { annotations: { "pannier.io/enabled": "true" } }));
    await bench.later();
    assert.deepEqual(bench.asked, ["ours"]);
  });

  it("are not those that Dapr injected, or that bring a sidecar of their own", async () => {
    bench.cache.put(podOf("dapr", { labels: { "dapr.io/sidecar-injected": "true" } }));
    bench.cache.put(podOf("own", {}));
    bench.whole.set("own", { spec: { containers: [{ name: "app" }, { name: "daprd" }] } });
    bench.cache.put(podOf("native", {}));
    bench.whole.set("native", { spec: { containers: [{ name: "app" }], initContainers: [{ name: "daprd" }] } });
    await bench.later();
    assert.deepEqual([bench.told.length, bench.counts.at(-1)], [0, 0]);
  });

  it("are not those that have ended", async () => {
    bench.cache.put(podOf("job"));
    bench.whole.set("job", { status: { phase: "Succeeded" } });
    await bench.later();
    assert.equal(bench.told.length, 0);
  });

  it("are not those that are being deleted", async () => {
    const pod = podOf("app");
    bench.cache.put({ metadata: { ...pod.metadata, deletionTimestamp: "1970-01-01T00:00:01Z" } });
    await bench.later();
    assert.equal(bench.told.length, 0);
  });

  it("are no longer counted when they are gone", async () => {
    bench.cache.put(podOf("app"));
    await bench.later();
    bench.cache.remove("shop/app");
    assert.deepEqual(bench.counts.slice(-2), [1, 0]);
  });

  it("are told anew when another pod takes the name", async () => {
    bench.cache.put(podOf("app"));
    await bench.later();
    bench.cache.put(podOf("app", { uid: "another" }));
    await bench.later();
    assert.equal(bench.told.length, 2);
  });

  it("are counted by each replica and told by the leader, also one that leads later", async () => {
    bench.leads = false;
    bench.cache.put(podOf("app"));
    await bench.later();
    assert.deepEqual([bench.told.length, bench.counts.at(-1)], [0, 1]);
    bench.leads = true;
    await bench.clock.advance(ROUND_MS);
    assert.equal(bench.told.length, 1);
  });

  it("are found although another one cannot be looked at", async () => {
    bench.cache.put(podOf("a"));
    bench.whole.set("a", refused(500));
    bench.cache.put(podOf("b"));
    await bench.later();
    assert.deepEqual(
      bench.told.map(({ about }) => about.metadata.name),
      ["b"],
    );
    bench.whole.delete("a");
    await bench.clock.advance(ROUND_MS);
    assert.equal(bench.told.length, 2);
  });

  it("are looked at a few at a time", async () => {
    for (let i = 0; i < LOOKS_MAX + 10; i++) bench.cache.put(podOf(`app${i}`));
    await bench.clock.advance(GRACE_MS);
    assert.equal(bench.asked.length, LOOKS_MAX);
    await bench.clock.advance(ROUND_MS);
    assert.equal(bench.asked.length, LOOKS_MAX + 10);
  });

  it("are not looked for any more when it is closed", () => {
    bench.cache.put(podOf("app"));
    bench.watch.close();
    assert.equal(bench.clock.timers, 0);
  });

  it("are not looked for any more when it is closed in the middle of a look", async () => {
    bench.cache.put(podOf("app"));
    bench.whole.set("app", refused(500));
    const asking = bench.request.bind(bench);
    bench.request = async (request) => {
      bench.watch.close();
      return asking(request);
    };
    await bench.later();
    assert.equal(bench.clock.timers, 0);
  });
});
