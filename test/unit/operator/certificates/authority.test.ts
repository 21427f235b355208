import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { type Authority, LOOK_MS, openAuthority, SETTLE_MS } from "#operator/certificates/authority.ts";
import { ROTATE_ANNOTATION } from "#operator/certificates/authority-secret.ts";
import { AUTHORITY_LIFETIME_MS, DAY_MS, splitPem } from "#operator/certificates/authority-state.ts";
import { LEAF_LIFETIME_MS } from "#operator/certificates/leaf.ts";
import { settle } from "#test/unit/sidecar/resiliency/manual-clock.ts";
import { handshake, serve } from "./handshake.ts";
import { JumpClock } from "./jump-clock.ts";
import { keepLog } from "./log-lines.ts";
import { failure, MemoryClient } from "./memory-client.ts";
import { passLooks } from "./passing-looks.ts";

const SECRET = "/api/v1/namespaces/pannier/secrets/pannier-ca";
const NAMES = ["localhost", "pannier-operator.pannier.svc"];

interface Replica {
  readonly authority: Authority;
  leads: boolean;
  /** Whether caBundle writes succeed. */
  publishes: boolean;
}

/** A namespace of a cluster with its replicas; the first CA was made `ageMs` ago. */
class Cluster {
  readonly client: MemoryClient = new MemoryClient();
  readonly clock: JumpClock;
  readonly kept = keepLog();
  readonly #open: Authority[] = [];

  constructor(ageMs = 0) {
    this.clock = new JumpClock(Date.now() - ageMs);
  }

  async replica({ leads }: { readonly leads: boolean }): Promise<Replica> {
    const replica: { -readonly [K in keyof Replica]?: Replica[K] } & Omit<Replica, "authority"> = {
      leads,
      publishes: true,
    };
    const { client, clock } = this;
    const authority = await openAuthority(
      {
        client,
        clock,
        namespace: "pannier",
        names: NAMES,
        mayRotate: () => replica.leads,
        isPublished: () => replica.publishes,
        log: this.kept.log,
      },
      new AbortController().signal,
    );
    this.#open.push(authority);
    return Object.assign(replica, { authority });
  }

  /** Time that the replicas have a look in, every so often. */
  pass(ms: number): Promise<void> {
    return passLooks(this.clock, ms, this.#open);
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.map((authority) => authority.close()));
  }
}

describe("the CA that the replicas share", () => {
  let cluster: Cluster;
  beforeEach(() => {
    cluster = new Cluster();
  });
  afterEach(() => cluster.close());

  it("is one, whoever comes first", async () => {
    const [one, two] = await Promise.all([cluster.replica({ leads: false }), cluster.replica({ leads: true })]);
    assert.equal(one.authority.trustAnchors, two.authority.trustAnchors);
    assert.notEqual(one.authority.current.keyPem, two.authority.current.keyPem);
    assert.equal(cluster.client.count("POST"), 2);
  });

  it("waits for the API server and for a Secret that can be used", async () => {
    const { client, clock, kept } = cluster;
    client.fault = () => failure(503, "ServiceUnavailable");
    const opening = cluster.replica({ leads: true });
    await settle();
    client.fault = () => null;
    client.put(SECRET, { metadata: { name: "pannier-ca" }, data: { "ca.crt": "Z2FyYmFnZQ==" } });
    await clock.advance(2_000);
    client.objects.delete(SECRET);
    await clock.advance(2_000);
    assert.ok((await opening).authority.trustAnchors.includes("CERTIFICATE"));
    assert.equal(kept.lines.filter((line) => line.includes("no CA yet")).length, 2);
    assert.match(kept.lines[1] ?? "", /ca\.crt holds something that is no certificate.*put it right, or delete it/);
  });

  it("gives up waiting when it is told to", async () => {
    cluster.client.fault = () => failure(503, "ServiceUnavailable");
    const abort = new AbortController();
    const { client, clock, kept } = cluster;
    const given = { namespace: "pannier", names: NAMES, mayRotate: () => true, isPublished: () => true };
    const opening = openAuthority({ ...given, client, clock, log: kept.log }, abort.signal);
    abort.abort();
    await assert.rejects(opening, /given up/);
  });

  it("gives up in the middle of a request, and ends in the middle of a look", async () => {
    const { authority } = await cluster.replica({ leads: true });
    const { client, clock, kept } = cluster;
    client.isMute = true;
    const abort = new AbortController();
    const given = { namespace: "pannier", names: NAMES, mayRotate: () => true, isPublished: () => true };
    const opening = openAuthority({ ...given, client, clock, log: kept.log }, abort.signal);
    void authority.look();
    await settle();
    abort.abort();
    await assert.rejects(opening, /given up/);
    await authority.close();
    assert.deepEqual(kept.lines, []);
  });

  it("comes back when somebody deletes its Secret", async () => {
    const { authority } = await cluster.replica({ leads: false });
    const before = authority.trustAnchors;
    await authority.look();
    const stored = structuredClone(cluster.client.objects.get(SECRET)?.data);
    cluster.client.objects.delete(SECRET);
    await cluster.clock.advance(LOOK_MS);
    assert.deepEqual(cluster.client.objects.get(SECRET)?.data, stored);
    assert.equal(authority.trustAnchors, before);
  });

  it("stays as it was when its Secret becomes garbage, and that is told once", async () => {
    const { authority } = await cluster.replica({ leads: true });
    const before = authority.current;
    const { resourceVersion: _, ...metadata } = cluster.client.objects.get(SECRET)?.metadata ?? { name: "pannier-ca" };
    cluster.client.put(SECRET, { metadata, data: {} });
    await cluster.clock.advance(3 * LOOK_MS);
    assert.equal(authority.current, before);
    assert.equal(cluster.kept.lines.filter((line) => line.includes("cannot be looked after")).length, 1);
    assert.deepEqual(cluster.client.objects.get(SECRET)?.data, {});
  });

  it("never has its key in a log", async () => {
    const { authority } = await cluster.replica({ leads: true });
    cluster.client.put(SECRET, { metadata: { name: "pannier-ca" }, data: { "ca.key": "c2VjcmV0" } });
    await authority.look();
    assert.equal(
      cluster.kept.lines.some((line) => /PRIVATE|secret"|c2VjcmV0/.test(line)),
      false,
    );
  });
});

describe("a serving certificate", () => {
  it("is renewed at two thirds of its life, also while the API server is away", async () => {
    const cluster = new Cluster();
    try {
      const { authority } = await cluster.replica({ leads: false });
      const first = authority.current;
      cluster.client.fault = () => failure(0, "");
      cluster.clock.jump((LEAF_LIFETIME_MS * 2) / 3 - DAY_MS);
      await authority.look();
      assert.equal(authority.current, first);
      let told = 0;
      authority.onChange(() => told++);
      cluster.clock.jump(DAY_MS);
      await authority.look();
      assert.notEqual(authority.current.certificatePem, first.certificatePem);
      assert.ok(authority.current.expiresAtMs > first.expiresAtMs);
      assert.equal(told, 1);
    } finally {
      await cluster.close();
    }
  });

  it("ends with its CA at the latest", async () => {
    const cluster = new Cluster();
    try {
      const { authority } = await cluster.replica({ leads: false });
      cluster.clock.jump(AUTHORITY_LIFETIME_MS - DAY_MS);
      await authority.look();
      const end = new X509Certificate(authority.trustAnchors).validToDate.getTime();
      assert.equal(authority.current.expiresAtMs, end);
    } finally {
      await cluster.close();
    }
  });
});

describe("a rotation of the CA", () => {
  const AGE_MS = 250 * DAY_MS;
  let cluster: Cluster;
  let leader: Replica;
  let follower: Replica;
  beforeEach(async () => {
    cluster = new Cluster(AGE_MS);
    [leader, follower] = [await cluster.replica({ leads: true }), await cluster.replica({ leads: false })];
  });
  afterEach(() => cluster.close());

  it("publishes first, settles, then signs, and both replicas go along", async () => {
    const [old = ""] = splitPem(leader.authority.trustAnchors) ?? [];
    cluster.clock.jump(AGE_MS);
    await leader.authority.look();
    await follower.authority.look();
    const [signing, next, ...rest] = splitPem(leader.authority.trustAnchors) ?? [];
    assert.deepEqual([signing, rest], [old, []]);
    assert.equal(follower.authority.trustAnchors, leader.authority.trustAnchors);
    assert.equal(isSignedBy(leader.authority, old), true);
    await cluster.pass(SETTLE_MS - LOOK_MS);
    assert.equal(isSignedBy(leader.authority, old), true);
    await cluster.pass(3 * LOOK_MS);
    for (const { authority } of [leader, follower]) {
      assert.deepEqual(splitPem(authority.trustAnchors), [next, old]);
      assert.equal(isSignedBy(authority, next ?? ""), true);
    }
  });

  it("shows a leaf together with the CA that signed it, also while the leaf is being made", async () => {
    cluster.clock.jump(AGE_MS);
    await leader.authority.look();
    const signers = new Set<string>();
    let isOver = false;
    const watching = (async () => {
      for (; !isOver; await settle()) {
        const [signing = ""] = splitPem(leader.authority.trustAnchors) ?? [];
        signers.add(signing);
        assert.equal(isSignedBy(leader.authority, signing), true);
      }
    })();
    const passed = cluster.pass(SETTLE_MS + 3 * LOOK_MS).finally(() => {
      isOver = true;
    });
    await Promise.all([passed, watching]);
    assert.equal(signers.size, 2);
  });

  it("does not begin where nobody leads", async () => {
    leader.leads = false;
    cluster.clock.jump(AGE_MS);
    await leader.authority.look();
    assert.equal(splitPem(leader.authority.trustAnchors)?.length, 1);
    assert.equal(cluster.client.count("PUT"), 0);
  });

  it("does not sign by the next CA while the caBundle cannot be written", async () => {
    const [old = ""] = splitPem(leader.authority.trustAnchors) ?? [];
    leader.publishes = false;
    cluster.clock.jump(AGE_MS);
    await leader.authority.look();
    await cluster.pass(2 * SETTLE_MS);
    assert.equal(isSignedBy(leader.authority, old), true);
    leader.publishes = true;
    await cluster.pass(SETTLE_MS + 2 * LOOK_MS);
    assert.equal(isSignedBy(leader.authority, old), false);
  });

  it("goes on under another leader", async () => {
    cluster.clock.jump(AGE_MS);
    await leader.authority.look();
    [leader.leads, follower.leads] = [false, true];
    await cluster.pass(SETTLE_MS + 3 * LOOK_MS);
    assert.equal(follower.authority.trustAnchors, leader.authority.trustAnchors);
    assert.equal(cluster.client.count("PUT"), 2);
  });

  it("happens when a person asks for it, once", async () => {
    const stored = cluster.client.objects.get(SECRET);
    assert.ok(stored !== undefined);
    cluster.client.put(SECRET, {
      ...stored,
      metadata: { ...stored.metadata, annotations: { [ROTATE_ANNOTATION]: "now" } },
    });
    await cluster.pass(SETTLE_MS + 3 * LOOK_MS);
    assert.equal(splitPem(leader.authority.trustAnchors)?.length, 2);
    assert.equal(cluster.client.count("PUT"), 2);
    assert.deepEqual(cluster.client.objects.get(SECRET)?.metadata.annotations, {});
  });

  it("takes what another wrote in between, and does not write over it", async () => {
    let isFirst = true;
    cluster.client.fault = ({ method }) => {
      if (method !== "PUT" || !isFirst) return null;
      isFirst = false;
      return failure(409, "Conflict");
    };
    cluster.clock.jump(AGE_MS);
    await leader.authority.look();
    assert.deepEqual(
      cluster.client.asked.slice(-4).map((each) => each.split(" ")[0]),
      ["GET", "PUT", "GET", "PUT"],
    );
    assert.equal(splitPem(leader.authority.trustAnchors)?.length, 2);
  });

  it("lets nobody down who trusts only the old CA, or only the new one", async () => {
    const old = leader.authority.trustAnchors;
    cluster.clock.jump(AGE_MS);
    await leader.authority.look();
    const [, next = ""] = splitPem(leader.authority.trustAnchors) ?? [];
    const { server, port } = await serve(leader.authority);
    try {
      assert.equal(await handshake(port, old), null);
      assert.equal(await handshake(port, next), "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
      await cluster.pass(SETTLE_MS + 3 * LOOK_MS);
      assert.equal(isSignedBy(leader.authority, next), true);
      assert.equal(await handshake(port, old), null);
      assert.equal(await handshake(port, next), null);
      assert.equal(await handshake(port, next, "pannier-operator.pannier.svc"), null);
      assert.equal(await handshake(port, next, "other.pannier.svc"), "ERR_TLS_CERT_ALTNAME_INVALID");
    } finally {
      server.close();
    }
  });

  it("leaves the old CA out once it has expired", async () => {
    cluster.clock.jump(AGE_MS);
    await leader.authority.look();
    await cluster.pass(SETTLE_MS + 3 * LOOK_MS);
    assert.equal(splitPem(leader.authority.current.certificatePem)?.length, 2);
    cluster.clock.jump(AUTHORITY_LIFETIME_MS - AGE_MS);
    await leader.authority.look();
    assert.equal(splitPem(leader.authority.trustAnchors)?.length, 1);
    assert.equal(splitPem(leader.authority.current.certificatePem)?.length, 1);
  });

  it("does not wait when the CA has expired while nobody looked", async () => {
    const [old = ""] = splitPem(leader.authority.trustAnchors) ?? [];
    cluster.clock.jump(AUTHORITY_LIFETIME_MS + DAY_MS);
    leader.publishes = false;
    await leader.authority.look();
    const anchors = splitPem(leader.authority.trustAnchors) ?? [];
    assert.equal(anchors.length, 1);
    assert.notEqual(anchors[0], old);
    assert.equal(isSignedBy(leader.authority, anchors[0] ?? ""), true);
  });
});

function isSignedBy({ current }: Authority, authorityPem: string): boolean {
  return new X509Certificate(current.certificatePem).verify(new X509Certificate(authorityPem).publicKey);
}
