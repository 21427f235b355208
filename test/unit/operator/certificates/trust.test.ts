import assert from "node:assert/strict";
import { CA_BUNDLE_CHECK_MS, CaBundle } from "#operator/certificates/ca-bundle.ts";
import { Listeners } from "#operator/certificates/source.ts";
import { TRUST_BUNDLE_CHECK_MS, TrustBundles } from "#operator/certificates/trust-bundles.ts";
import { settle } from "#test/unit/sidecar/resiliency/manual-clock.ts";
import { JumpClock } from "./jump-clock.ts";
import { keepLog } from "./log-lines.ts";
import { failure, MemoryClient } from "./memory-client.ts";

const WEBHOOK = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/pannier";
const BUNDLE = (namespace: string): string => `/api/v1/namespaces/${namespace}/configmaps/pannier-trust-bundle`;

/** Trust anchors that a test changes. */
class Anchors {
  trustAnchors = "first";
  readonly #listeners: Listeners = new Listeners();

  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  async set(trustAnchors: string): Promise<void> {
    this.trustAnchors = trustAnchors;
    this.#listeners.tell();
    for (let turn = 0; turn < 20; turn++) await settle();
  }
}

function webhooksIn(client: MemoryClient): readonly { readonly clientConfig: { readonly caBundle?: string } }[] {
  const webhooks = client.objects.get(WEBHOOK)?.webhooks;
  assert.ok(Array.isArray(webhooks));
  return webhooks;
}

describe("the caBundle of the webhook", () => {
  const clock = new JumpClock(0);
  let client: MemoryClient;
  let anchors: Anchors;
  let leads: boolean;
  let bundle: CaBundle;
  const kept = keepLog();
  const bundles = (): unknown[] =>
    webhooksIn(client).map(({ clientConfig }) => Buffer.from(clientConfig.caBundle ?? "", "base64").toString());
  const configuration = (): { metadata: { name: string }; webhooks: unknown[] } => ({
    metadata: { name: "pannier" },
    webhooks: [
      { name: "a.pannier.io", failurePolicy: "Fail", clientConfig: { service: { name: "pannier-operator" } } },
      { name: "b.pannier.io", failurePolicy: "Fail", clientConfig: {} },
    ],
  });
  beforeEach(async () => {
    client = new MemoryClient();
    client.put(WEBHOOK, configuration());
    anchors = new Anchors();
    leads = true;
    kept.lines.length = 0;
    bundle = new CaBundle({ client, name: "pannier", source: anchors, mayWrite: () => leads, clock, log: kept.log });
    await bundle.check();
  });
  afterEach(() => bundle.close());

  it("is written for every webhook, at each change, and nothing else is", async () => {
    assert.deepEqual(bundles(), ["first", "first"]);
    assert.equal(bundle.isPublished("first"), true);
    await anchors.set("first and second");
    assert.deepEqual(bundles(), ["first and second", "first and second"]);
    assert.deepEqual([bundle.isPublished("first"), bundle.isPublished("first and second")], [false, true]);
    assert.equal(JSON.stringify(client.objects.get(WEBHOOK)).split('"failurePolicy":"Fail"').length, 3);
  });

  it("is not written when it is right", async () => {
    await clock.advance(5 * CA_BUNDLE_CHECK_MS);
    assert.equal(client.count("PATCH"), 1);
  });

  it("comes back within seconds when somebody takes it away", async () => {
    client.put(WEBHOOK, configuration());
    await clock.advance(CA_BUNDLE_CHECK_MS);
    assert.deepEqual(bundles(), ["first", "first"]);
  });

  it("is only looked at by a replica that does not lead", async () => {
    leads = false;
    await anchors.set("second");
    assert.deepEqual(bundles(), ["first", "first"]);
    assert.equal(bundle.isPublished("second"), false);
    assert.equal(bundle.isPublished("first"), true);
  });

  it("does not count as published while one webhook of several lacks it", async () => {
    leads = false;
    const [first] = webhooksIn(client);
    const [, second] = configuration().webhooks;
    client.put(WEBHOOK, { metadata: { name: "pannier" }, webhooks: [first, second] });
    await bundle.check();
    assert.equal(bundle.isPublished("first"), false);
  });

  it("counts as published no more once it cannot be read, and that is told once", async () => {
    client.objects.delete(WEBHOOK);
    await bundle.check();
    await bundle.check();
    assert.equal(bundle.isPublished("first"), false);
    const told = kept.lines.filter((line) => line.includes("cannot be kept"));
    assert.equal(told.length, 1);
    assert.match(told[0] ?? "", /"configuration":"pannier".*404 NotFound.*helm upgrade/);
  });

  it("ends in the middle of a look, without a word of it", async () => {
    client.isMute = true;
    void bundle.check();
    await settle();
    await bundle.close();
    assert.deepEqual(
      kept.lines.filter((line) => /cannot be kept/.test(line)),
      [],
    );
  });

  it("names the configuration as owner of what has to go with it", () => {
    assert.deepEqual(bundle.owner, {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "MutatingWebhookConfiguration",
      name: "pannier",
      uid: `uid-${WEBHOOK}`,
    });
  });
});

describe("the trust bundle of a namespace", () => {
  const clock = new JumpClock(0);
  const owner = { apiVersion: "v1", kind: "K", name: "n", uid: "u" };
  let client: MemoryClient;
  let anchors: Anchors;
  let leads: boolean;
  let trust: TrustBundles;
  let namespaces: Set<string>;
  let changes: Listeners;
  const kept = keepLog();
  const textIn = (namespace: string): unknown =>
    (client.objects.get(BUNDLE(namespace))?.data as Record<string, string> | undefined)?.["ca.crt"];
  const add = async (name: string): Promise<void> => {
    namespaces.add(name);
    changes.tell();
    for (let turn = 0; turn < 20; turn++) await settle();
  };
  beforeEach(async () => {
    client = new MemoryClient();
    anchors = new Anchors();
    leads = true;
    kept.lines.length = 0;
    namespaces = new Set(["a", "b"]);
    changes = new Listeners();
    trust = new TrustBundles({
      client,
      source: anchors,
      namespaces: { current: () => namespaces, onChange: (listener) => changes.add(listener) },
      owner: () => owner,
      mayWrite: () => leads,
      clock,
      log: kept.log,
    });
    await trust.check();
  });
  afterEach(() => trust.close());

  it("is written where there are sidecars, at each change, and in namespaces that come", async () => {
    assert.deepEqual([textIn("a"), textIn("b"), textIn("c")], ["first", "first", undefined]);
    await anchors.set("second");
    assert.deepEqual([textIn("a"), textIn("b")], ["second", "second"]);
    await add("c");
    assert.equal(textIn("c"), "second");
    assert.deepEqual(client.objects.get(BUNDLE("a"))?.metadata.ownerReferences, [owner]);
  });

  it("ends in the middle of a look at many namespaces, without a word of it", async () => {
    client.isMute = true;
    for (let index = 0; index < 100; index++) namespaces.add(`more-${index}`);
    await add("c");
    const asked = client.asked.length;
    await trust.close();
    assert.equal(client.asked.length, asked);
    assert.deepEqual(
      kept.lines.filter((line) => line.includes("not written")),
      [],
    );
  });

  it("is neither read nor written again for a change elsewhere", async () => {
    const before = client.asked.length;
    await add("c");
    assert.deepEqual(client.asked.slice(before), [`GET ${BUNDLE("c")}`, `PATCH ${BUNDLE("c")}`]);
  });

  it("comes back within a minute when somebody changes or deletes it", async () => {
    client.objects.delete(BUNDLE("a"));
    client.put(BUNDLE("b"), { metadata: { name: "pannier-trust-bundle" }, data: { "ca.crt": "mine" } });
    await clock.advance(TRUST_BUNDLE_CHECK_MS + 1);
    await trust.check();
    assert.deepEqual([textIn("a"), textIn("b")], ["first", "first"]);
  });

  it("is written in the neighbours of a namespace where it cannot be, and there later; told once", async () => {
    client.fault = ({ path }) => (path === BUNDLE("c") ? failure(403, "Forbidden") : null);
    namespaces.add("d");
    await add("c");
    await trust.check();
    assert.deepEqual([textIn("c"), textIn("d")], [undefined, "first"]);
    assert.equal(kept.lines.filter((line) => line.includes("trust bundle not written")).length, 1);
    client.fault = () => null;
    await clock.advance(TRUST_BUNDLE_CHECK_MS / 2);
    assert.equal(textIn("c"), "first");
  });

  it("is written again in a namespace that went and came back", async () => {
    namespaces.delete("a");
    changes.tell();
    await trust.check();
    client.objects.delete(BUNDLE("a"));
    await add("a");
    assert.equal(textIn("a"), "first");
  });

  it("is not written by a replica that does not lead, and all are looked at when it does", async () => {
    leads = false;
    await anchors.set("second");
    assert.equal(textIn("a"), "first");
    leads = true;
    await trust.check();
    assert.equal(textIn("a"), "second");
  });
});
