// Metadata entries to properties: references, templates, and references that lead nowhere.
import assert from "node:assert/strict";
import { type Component, parseComponent } from "#crds/component.ts";
import { describeFault } from "#kit/fault.ts";
import { broughtSecrets, kubernetes } from "#sidecar/secrets/brought.ts";
import { type ResolveContext, resolveProperties } from "#sidecar/secrets/resolve.ts";

const SECRETS: Record<string, Record<string, string>> = {
  db: { password: "hunter2", user: "me" },
  plain: { plain: "s3cret" },
  template: { template: "{appID}!" },
};

function component(metadata: readonly object[], secretStore: string | null = "vault"): Component {
  const auth = secretStore === null ? {} : { secretStore };
  const parsed = parseComponent({
    apiVersion: "dapr.io/v1alpha1",
    kind: "Component",
    metadata: { name: "c" },
    spec: { type: "state.redis", metadata },
    auth,
  });
  assert.ok(parsed.component);
  return parsed.component;
}

function context(changes: Partial<ResolveContext["templates"]> = {}): ResolveContext {
  return {
    env: { SET: "from env", EMPTY: "" },
    templates: { appId: "app", namespace: "ns", podName: "pod-0", uuid: (entry, nth) => `${entry}-${nth}`, ...changes },
    secretStore: async (name) =>
      name === "vault" ? { get: async (secret) => SECRETS[secret] ?? null } : { missing: "no such Component" },
    brought: null,
  };
}

async function faultOf(entry: object, secretStore: string | null = "vault"): Promise<string> {
  const { faults } = await resolveProperties(component([{ name: "field", ...entry }], secretStore), context());
  assert.equal(faults.length, 1);
  const [fault] = faults;
  assert.ok(fault);
  assert.equal(fault.severity, "error");
  return describeFault(fault);
}

describe("resolving metadata", () => {
  it("looks up secrets and variables and marks them as secret", async () => {
    const entries = [
      { name: "a", value: "v" },
      { name: "b", secretKeyRef: { name: "db", key: "password" } },
      { name: "c", secretKeyRef: { name: "plain" } },
      { name: "d", envRef: "SET" },
      { name: "e", envRef: "EMPTY" },
    ];
    assert.deepEqual(await resolveProperties(component(entries), context()), {
      properties: [
        { name: "a", value: "v", secret: false },
        { name: "b", value: "hunter2", secret: true, secretRef: { name: "db", key: "password" } },
        { name: "c", value: "s3cret", secret: true, secretRef: { name: "plain", key: "plain" } },
        { name: "d", value: "from env", secret: true },
        { name: "e", value: "", secret: true },
      ],
      faults: [],
    });
  });

  it("fills in templates, each uuid on its own, in secrets too", async () => {
    const entries = [
      { name: "a", value: "{uuid}/{uuid}/{podName}/{namespace}/{appID}/{other}" },
      { name: "b", secretKeyRef: { name: "template" } },
    ];
    const { properties } = await resolveProperties(component(entries), context());
    assert.deepEqual(
      properties.map(({ value }) => value),
      ["a-0/a-1/pod-0/ns.app/app/{other}", "app!"],
    );
  });

  it("calls {podName} without a pod an error", async () => {
    const { faults } = await resolveProperties(
      component([{ name: "a", value: "{podName}" }]),
      context({ podName: null }),
    );
    assert.deepEqual(
      faults.map(({ severity, field }) => [severity, field]),
      [["error", "a"]],
    );
  });

  it("calls a reference that leads nowhere an error and says where it ended, without any value", async () => {
    const texts = [
      await faultOf({ secretKeyRef: { name: "db", key: "pasword" } }),
      await faultOf({ secretKeyRef: { name: "db" } }),
      await faultOf({ secretKeyRef: { name: "nope" } }),
      await faultOf({ secretKeyRef: { name: "db" } }, "other"),
      await faultOf({ secretKeyRef: { name: "db" } }, null),
      await faultOf({ envRef: "UNSET" }),
      await faultOf({ envRef: "DAPR_API_TOKEN" }),
    ];
    const wanted = [
      /key "pasword" of secret "db" in secret store "vault"; did you mean password\?/,
      /key "db" of secret "db"/,
      /a secret "nope" in secret store "vault"/,
      /a secret store "other" \(auth.secretStore\); no such Component/,
      /auth.secretStore beside secretKeyRef; outside Kubernetes there is no default/,
      /environment variable UNSET/,
      /not DAPR_API_TOKEN/,
    ];
    for (const [index, pattern] of wanted.entries()) assert.match(texts[index] ?? "", pattern);
    assert.doesNotMatch(texts.join(), /hunter2|s3cret/);
  });

  describe("in a cluster", () => {
    const reference = { name: "field", secretKeyRef: { name: "db", key: "password" } };
    const brought = [
      { name: "db", key: "password", value: Buffer.from("hünter3 \n").toString("base64") },
      { name: "db", key: "user", problem: "the secret has no such key" },
    ];

    const resolve = (entry: object, secretStore: string | null) =>
      resolveProperties(component([entry], secretStore), { ...context(), brought });

    it("takes the secrets that came with the Component, where it names no store or Kubernetes", async () => {
      for (const secretStore of [null, "kubernetes"]) {
        assert.deepEqual(await resolve(reference, secretStore), {
          properties: [
            { name: "field", value: "hünter3 \n", secret: true, secretRef: { name: "db", key: "password" } },
          ],
          faults: [],
        });
      }
    });

    it("asks a secret store Component that is named, and no other", async () => {
      const { properties } = await resolve(reference, "vault");
      assert.equal(properties[0]?.value, "hunter2");
      const { faults } = await resolve(reference, "other");
      assert.match(faults.map(describeFault).join(), /a secret store "other" \(auth.secretStore\); no such Component/);
    });

    it("takes them too where the store that is named is Kubernetes' own", async () => {
      const entries = component([reference], "mine");
      const all = { ...context(), brought, secretStore: async () => broughtSecrets };
      assert.equal((await resolveProperties(entries, all)).properties[0]?.value, "hünter3 \n");
    });

    it("tells the secret and key that are missing, and why", async () => {
      const missing = { name: "field", secretKeyRef: { name: "db", key: "user" } };
      const [fault] = (await resolve(missing, null)).faults;
      assert.ok(fault);
      const text = 'field: want a key "user" of secret "db" of Kubernetes; the secret has no such key';
      assert.equal(describeFault(fault), text);
      const unsent = { name: "field", secretKeyRef: { name: "db", key: "unsent" } };
      assert.match((await resolve(unsent, null)).faults.map(describeFault).join(), /the operator sent none/);
    });

    it("opens secretstores.kubernetes there and nowhere else", async () => {
      const { faults, open } = kubernetes.prepare([]);
      assert.deepEqual(faults, []);
      assert.equal(await open({ env: {}, inCluster: true }), broughtSecrets);
      await assert.rejects(open({ env: {}, inCluster: false }), /--mode kubernetes/);
    });
  });
});
