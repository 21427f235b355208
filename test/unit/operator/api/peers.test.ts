import assert from "node:assert/strict";
import { REPORT_PATH, type ReportedComponent } from "#crds/distribution.ts";
import { type Clock, systemClock } from "#kit/clock.ts";
import { PEER_PATH } from "#operator/api/peer-message.ts";
import { ManualClock } from "#test/unit/sidecar/resiliency/manual-clock.ts";
import { until } from "#test/wire/until.ts";
import { Bench, StreamClient as Client, entry, makeTrust, OPERATOR, type StreamClient, type Trust } from "./bench.ts";
import { HandMadeCluster, type Pod } from "./hand-made-cluster.ts";

function ready(generation: number): ReportedComponent {
  return { name: "orders", uid: "u1", generation, state: "ready", reachable: true, message: null };
}

/** Two replicas of an operator over one cluster. */
describe("replicas of the operator", () => {
  let trust: Trust;
  let cluster: HandMadeCluster;
  const open: Bench[] = [];

  before(async () => {
    trust = await makeTrust();
  });
  after(() => trust.certificates.remove());
  beforeEach(() => {
    cluster = new HandMadeCluster();
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((bench) => bench.close()));
  });

  async function replica(
    name: string,
    options: { readonly clock?: Clock; readonly trust?: Trust; readonly onTelling?: () => void } = {},
  ): Promise<Bench> {
    const pod = cluster.put({ namespace: OPERATOR.namespace, name, annotations: {} });
    const token = cluster.token(pod, { account: OPERATOR.serviceAccount });
    const { clock = systemClock } = options;
    const readToken = (): Promise<string> => {
      options.onTelling?.();
      return Promise.resolve(`${token}\n`);
    };
    const bench = await new Bench({ trust: options.trust ?? trust, cluster, clock, readToken }).start();
    bench.resources.set(entry("orders"));
    open.push(bench);
    return bench;
  }

  function leads(leader: Bench, ...followers: readonly Bench[]): void {
    const holder = { identity: `replica ${leader.port}`, address: `127.0.0.1:${leader.port}` };
    leader.leading.change(true, holder);
    for (const follower of followers) follower.leading.change(false, holder);
  }

  async function report(at: Bench, token: string, generation: number): Promise<void> {
    const text = JSON.stringify({ components: [ready(generation)] });
    const answer = await at.ask("POST", REPORT_PATH, token, { text });
    answer.resume();
    assert.equal(answer.statusCode, 204);
  }

  /** The generations that the table has, by pod. */
  function known({ reports }: Bench): readonly string[] {
    return reports
      .of("shop", "orders")
      .map(({ podName, generation }) => `${podName} ${generation}`)
      .sort();
  }

  function knows(bench: Bench, ...wanted: readonly string[]): Promise<void> {
    return until(`the table has ${wanted.join(", ")}`, () => known(bench).join() === wanted.join());
  }

  async function connect(at: Bench, name: string): Promise<{ pod: Pod; token: string; stream: StreamClient }> {
    const pod = cluster.put({ name });
    const token = cluster.token(pod);
    const stream = await at.open(token);
    await stream.synced();
    return { pod, token, stream };
  }

  it("tell the leader what their sidecars report, its changes and its end", async () => {
    const [leader, follower] = [await replica("a"), await replica("b")];
    leads(leader, follower);
    const there = await connect(follower, "cart-1");
    const here = await connect(leader, "cart-2");
    await report(follower, there.token, 1);
    await report(leader, here.token, 1);
    await knows(leader, "cart-1 1", "cart-2 1");
    await report(follower, there.token, 2);
    await knows(leader, "cart-1 2", "cart-2 1");
    assert.deepEqual(known(follower), ["cart-1 2"]);
    cluster.remove(there.pod);
    await knows(leader, "cart-2 1");
  });

  it("tell a new leader everything, and the old one forgets", async () => {
    const [first, second, third] = [await replica("a"), await replica("b"), await replica("c")];
    leads(first, second, third);
    const [one, two] = [await connect(second, "cart-1"), await connect(third, "cart-2")];
    await report(second, one.token, 1);
    await report(third, two.token, 1);
    await knows(first, "cart-1 1", "cart-2 1");
    leads(second, first, third);
    await knows(second, "cart-1 1", "cart-2 1");
    await knows(first);
  });

  it("notice a new leader while they tell the old one", async () => {
    let onTelling = (): void => undefined;
    const [first, second] = [await replica("a"), await replica("b")];
    const third = await replica("c", { onTelling: () => onTelling() });
    leads(first, second, third);
    const one = await connect(third, "cart-1");
    await report(third, one.token, 1);
    await knows(first, "cart-1 1");
    onTelling = () => {
      onTelling = () => undefined;
      // The first one does not know yet, and takes what it is told.
      leads(second, third);
    };
    await report(third, one.token, 2);
    await knows(second, "cart-1 2");
  });

  it("tell a leader everything that does not know them", async () => {
    const [leader, follower] = [await replica("a"), await replica("b")];
    leads(leader, follower);
    const { token } = await connect(follower, "cart-1");
    await report(follower, token, 1);
    await knows(leader, "cart-1 1");
    // It lost the lead and has it again, and the follower saw none of it.
    leader.leading.change(false, null);
    await knows(leader);
    leader.leading.change(true, null);
    await report(follower, token, 2);
    await knows(leader, "cart-1 2");
  });

  it("leave the report of a sidecar to the replica that it went to", async () => {
    const clock = new ManualClock();
    const [leader, follower] = [await replica("a"), await replica("b", { clock })];
    leads(leader, follower);
    const before = await connect(follower, "cart-1");
    await report(follower, before.token, 1);
    await until("the leader was told", async () => {
      await clock.advance(200);
      return known(leader).join() === "cart-1 1";
    });
    before.stream.close();
    await until("it has left", () => follower.distribution.streams === 0);
    const after = await connect(leader, "cart-1");
    await report(leader, after.token, 2);
    const asked = clock.asked.length;
    await clock.advance(61_000);
    await until("the follower has forgotten it and said so", async () => {
      await clock.advance(200);
      return known(follower).length === 0 && clock.asked.length > asked + 4;
    });
    assert.deepEqual(known(leader), ["cart-1 2"]);
  });

  it("are forgotten after a minute without a word", async () => {
    const clock = new ManualClock();
    const [leader, follower] = [await replica("a", { clock }), await replica("b")];
    leads(leader, follower);
    const { token } = await connect(follower, "cart-1");
    await report(follower, token, 1);
    await knows(leader, "cart-1 1");
    await follower.close();
    await clock.advance(60_000);
    await knows(leader);
  });

  it("do not speak to a server that their own CA did not sign for", async () => {
    const stranger = await makeTrust();
    try {
      const [leader, follower] = [await replica("a", { trust: stranger }), await replica("b")];
      leads(leader, follower);
      const { token } = await connect(follower, "cart-1");
      await report(follower, token, 1);
      await until("the follower says so", () => follower.lines.some((line) => /leader cannot be told/.test(line)));
      assert.deepEqual(known(leader), []);
      assert.ok(!follower.lines.join("").includes(token));
    } finally {
      await stranger.certificates.remove();
    }
  });

  it("take nothing from a sidecar, from one that does not lead, or from nonsense", async () => {
    const leader = await replica("a");
    leads(leader);
    const operator = cluster.token(cluster.put({ namespace: OPERATOR.namespace, name: "b" }), {
      account: OPERATOR.serviceAccount,
    });
    const sidecar = cluster.token(cluster.put());
    const claim = { round: { first: true, last: true }, gone: [], reports: [] };
    const change = { round: null, gone: [], reports: [] };
    const status = async (token: string | null, body: unknown): Promise<number> => {
      const client = new Client(await leader.ask("POST", PEER_PATH, token, { text: JSON.stringify(body) }));
      await client.ended();
      return client.status;
    };
    assert.equal(await status(null, claim), 401);
    assert.equal(await status(sidecar, claim), 403);
    assert.equal(await status(operator, { reports: [{}], gone: [] }), 400);
    assert.equal(await status(operator, change), 409);
    assert.equal(await status(operator, claim), 204);
    assert.equal(await status(operator, change), 204);
    leader.leading.change(false, null);
    assert.equal(await status(operator, claim), 421);
  });
});
