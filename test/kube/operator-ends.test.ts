// An operator that is told to end while its API server answers nothing: it ends all the same, well before a kubelet loses
// patience. The limits of these tests are the statement.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Bed, describeWithBed, sharedBed } from "../cluster/bed.ts";
import { installCrds } from "../cluster/crds.ts";
import { type FaultProxy, startFaultProxy } from "../cluster/fault-proxy.ts";
import { until } from "./component-operator.ts";
import { type Replica, startReplica } from "./whole-operator.ts";

const START_WITHIN_MS = 240_000;
/** The Lease takes two requests of 4 s, the Events 2 s; a kubelet waits for 60 s. */
const END_WITHIN_MS = 30_000;
const SEED = 5;

describeWithBed("an operator whose API server answers nothing", () => {
  let bed: Bed;
  let namespace: string;
  let proxy: FaultProxy;
  let folder: string;

  before(async () => {
    bed = await sharedBed();
    await installCrds(bed);
    namespace = await bed.namespace();
    folder = await mkdtemp(join(tmpdir(), "pannier-ends-"));
    await writeFile(join(folder, "token"), "none");
  });
  beforeEach(async () => {
    proxy = await startFaultProxy(bed.kubeconfig, SEED);
  });
  afterEach(() => proxy.close());
  after(() => rm(folder, { recursive: true }));

  const start = (stopping?: AbortSignal): Promise<Replica> =>
    startReplica({
      kubeconfig: proxy.kubeconfig,
      namespace,
      podName: "operator-0",
      tokenFile: join(folder, "token"),
      // The rest of the cluster belongs to other tests.
      flags: [`--watch-namespaces=${namespace}`],
      ...(stopping === undefined ? {} : { stopping }),
    });

  it("ends", async function () {
    this.timeout(START_WITHIN_MS + END_WITHIN_MS);
    const { operator } = await start();
    await until(() => operator.unready() === null, "the operator is ready");
    proxy.storm(["mute"]);
    proxy.cut();
    await until(() => (proxy.struck.get("mute") ?? 0) >= 3, "requests are left without an answer");
    this.timeout(END_WITHIN_MS);
    await operator.close();
  });

  it("ends before it has begun", async function () {
    this.timeout(END_WITHIN_MS);
    proxy.storm(["mute"]);
    const stopping = new AbortController();
    const starting = start(stopping.signal);
    await until(() => (proxy.struck.get("mute") ?? 0) > 0, "a request is left without an answer");
    stopping.abort();
    await assert.rejects(starting);
  });
});
