// crds/admission-policy.yaml on a real API server: what kubectl says at once about what sidecars would refuse later.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { type Bed, type CommandResult, describeWithBed, sharedBed } from "../cluster/bed.ts";
import { installAdmissionPolicy, installCrds, manifest, PLURALS, type Plural, POLICY_FILE } from "../cluster/crds.ts";
import { judge } from "../docs/judgement.ts";

function state(metadata: readonly object[], type = "state.redis"): object {
  return { type, version: "v1", metadata: [{ name: "redisHost", value: "localhost:6379" }, ...metadata] };
}

/** Each of them wrong in one way that the policy sees. */
const WRONG: Readonly<Record<Plural, object>> = {
  components: state([], "state.aerospike"),
  resiliencies: { policies: { timeouts: { t: "soon" } }, targets: {} },
  configurations: { tracing: { samplingRate: "often" } },
};

const memory = (metadata: readonly object[]): object => ({ type: "state.in-memory", version: "v1", metadata });

/** By what is said of them. */
const WARNED: Readonly<Record<string, readonly [Plural, object]>> = {
  "spec is missing: it names the type": ["components", {}],
  'spec.type "State.redis": "State" is no building block': ["components", { spec: state([], "State.redis") }],
  'spec.type "state.aerospike": Pannier has no such store': ["components", { spec: WRONG.components }],
  'spec.type "secretstores.hashicorp.vault": Pannier has no such secret store': [
    "components",
    { spec: { type: "secretstores.hashicorp.vault", version: "v1", metadata: [] } },
  ],
  "spec.metadata: an entry has an empty name": ["components", { spec: memory([{ name: "", value: "hunter2" }]) }],
  "spec.metadata: given more than once: redishost": [
    "components",
    { spec: state([{ name: "RedisHost", value: "hunter2" }]) },
  ],
  "one of value, secretKeyRef and envRef is enough for redisPassword": [
    "components",
    {
      spec: state([{ name: "redisPassword", value: "hunter2", secretKeyRef: { name: "redis" } }]),
      auth: { secretStore: "vault" },
    },
  ],
  "spec.metadata: a secretKeyRef has an empty name": [
    "components",
    { spec: state([{ name: "redisPassword", secretKeyRef: { name: "" } }]) },
  ],
  "an encryption key must come from a secretKeyRef": [
    "components",
    { spec: memory([{ name: "PrimaryEncryptionKey", value: "hunter2" }]) },
  ],
  "Pannier has no pub/sub": ["components", { spec: memory([{ name: "outboxPublishPubsub", value: "bus" }]) }],
  'spec.initTimeout "soon" is no duration': ["components", { spec: { ...memory([]), initTimeout: "soon" } }],
  "scopes: an entry is empty": ["components", { spec: memory([]), scopes: ["app", ""] }],
  'spec.policies: "soon" is no duration': ["resiliencies", { spec: WRONG.resiliencies }],
  'spec.policies.retries: policy "sometimes" must be': [
    "resiliencies",
    { spec: { policies: { retries: { r: { policy: "sometimes" } } }, targets: {} } },
  ],
  "spec.api: the protocol of the rule for state": [
    "configurations",
    { spec: { api: { allowed: [{ name: "state", version: "v1.0", protocol: "smoke" }] } } },
  ],
  'spec.components.deny: "state.redis/" is no type': [
    "configurations",
    { spec: { components: { deny: ["state.redis/"] } } },
  ],
  'spec.tracing.samplingRate "often" must be a number': ["configurations", { spec: WRONG.configurations }],
  'spec.tracing.samplingRate "1.5" must be a number': [
    "configurations",
    { spec: { tracing: { samplingRate: "1.5" } } },
  ],
  "latencyDistributionBuckets must ascend": [
    "configurations",
    { spec: { metrics: { enabled: true, latencyDistributionBuckets: [5, 1] } } },
  ],
  'pathMatching: a path must begin with "/"': [
    "configurations",
    { spec: { metric: { enabled: true, http: { pathMatching: ["v1.0/state"] } } } },
  ],
};

const QUIET: readonly (readonly [Plural, object])[] = [
  [
    "components",
    {
      spec: {
        ...state([
          { name: "redisPassword", secretKeyRef: { name: "redis", key: "password" } },
          { name: "primaryEncryptionKey", secretKeyRef: { name: "key" } },
          { name: "redisDB", value: 3 },
          { name: "enableTLS", value: false },
        ]),
        initTimeout: "1m30.5s",
      },
      scopes: ["app"],
      auth: { secretStore: "kubernetes" },
    },
  ],
  ["components", { spec: { type: "state.in-memory", version: "v1" } }],
  [
    "components",
    {
      metadata: { name: "example", annotations: { "dapr.io/component-container": "" } },
      spec: { type: "state.my-store", version: "v1", metadata: [] },
    },
  ],
  // Not ours to judge.
  ["components", { spec: { type: "pubsub.kafka", version: "v1", metadata: [{ name: "a" }, { name: "a" }] } }],
  [
    "resiliencies",
    {
      spec: {
        policies: {
          timeouts: { a: "5s", b: "250" },
          retries: { r: { policy: "Exponential", maxInterval: "1m30s" }, bare: {} },
          circuitBreakers: { c: { timeout: "30s", trip: "consecutiveFailures > 3" } },
        },
        targets: { components: { orders: { outbound: { timeout: "elsewhere", retry: "r" } } } },
      },
    },
  ],
  [
    "configurations",
    {
      spec: {
        api: {
          allowed: [{ name: "state", version: "v1.0" }],
          denied: [{ name: "state", version: "v1.0", protocol: "grpc" }],
        },
        components: { deny: ["state.redis", "state.redis/v1"] },
        tracing: { samplingRate: "0.5" },
        metrics: { enabled: true, latencyDistributionBuckets: [1, 5], http: { pathMatching: ["/v1.0/state/{store}"] } },
      },
    },
  ],
];

const breaker = (maxRequests: number): object => ({
  policies: { circuitBreakers: { c: { maxRequests } } },
  targets: {},
});
const timeout = (text: string): object => ({ policies: { timeouts: { t: text } }, targets: {} });
const buckets = (bounds: readonly number[]): object => ({
  metrics: { enabled: true, latencyDistributionBuckets: bounds },
});

/** Texts on either side of what the decoder takes, by what they stand in. */
const EDGES: Readonly<Record<string, readonly [Plural, readonly object[]]>> = {
  "spec.tracing.samplingRate": [
    "configurations",
    ["1.", ".5", "-0", "+1e-3", "0x1", " 1", "1 ", " ", ".", "-0.1", "1.01", "NaN", "1e", "1_0"].map(
      (samplingRate) => ({
        tracing: { samplingRate },
      }),
    ),
  ],
  "spec.initTimeout": [
    "components",
    ["24h", "1h30m.5s", "+1s", "5µs", "24h1s", "48h", "0", "+0", "0s", "-5s", "5", "1.2.3s", "s"].map(
      (initTimeout) => ({
        ...memory([]),
        initTimeout,
      }),
    ),
  ],
  "spec.policies:": [
    "resiliencies",
    ["0", "-0", "+0", "-0s", "480h", "1728000000", "1.5s", "-1", "-1s", "480h1s", "1728000001", "1.2.3s", "5d"].map(
      timeout,
    ),
  ],
  maxRequests: ["resiliencies", [0, 1, 1_000_000, -1, 1_000_001].map(breaker)],
  maxRetries: [
    "resiliencies",
    [-1, 0, 1_000_000, 1_000_001, -1_000_001].map((maxRetries) => ({
      policies: { retries: { r: { maxRetries } } },
      targets: {},
    })),
  ],
  latencyDistributionBuckets: [
    "configurations",
    [[], [0, 86_400_000], [5, 5], [-1, 5], [86_400_001], Array.from({ length: 101 }, (_, index) => index)].map(buckets),
  ],
};

/** Until a new policy is in force, in milliseconds. */
const POLICY_WITHIN_MS = 60_000;
const SETUP_WITHIN_MS = 120_000;

interface Policy {
  readonly metadata: { readonly name: string };
  readonly status: { readonly typeChecking?: object };
}

describeWithBed("admission policy", () => {
  let bed: Bed;
  let namespace: string;
  const create = (text: string): Promise<CommandResult> =>
    bed.tryKubectl(["-n", namespace, "create", "--dry-run=server", "-f", "-"], text);

  before(async function () {
    this.timeout(POLICY_WITHIN_MS + SETUP_WITHIN_MS);
    bed = await sharedBed();
    namespace = await bed.namespace();
    await installCrds(bed);
    await installAdmissionPolicy(bed);
    const end = Date.now() + POLICY_WITHIN_MS;
    for (const plural of PLURALS) {
      const wrong = { spec: WRONG[plural] };
      while (!(await create(manifest(plural, wrong))).stderr.includes("Warning:")) {
        if (Date.now() > end) throw new Error(`no warning about ${plural}`);
        await pause(200);
      }
    }
  });

  after(async () => {
    await bed.kubectl(["delete", "-f", POLICY_FILE]);
  });

  it("are judged by expressions that Kubernetes finds no fault with", async () => {
    const policies = JSON.parse(await bed.kubectl(["get", "validatingadmissionpolicies", "-o", "json"])).items;
    const ours = policies.filter((each: Policy) => each.metadata.name.startsWith("pannier-"));
    assert.deepEqual(
      ours.map((each: Policy) => each.status.typeChecking),
      [{}, {}, {}],
    );
  });

  for (const [said, [plural, rest]] of Object.entries(WARNED)) {
    it(`are taken with a warning: ${said}`, async () => {
      const text = manifest(plural, rest);
      const { status, stderr } = await create(text);
      assert.equal(status, 0, stderr);
      const warnings = stderr.split("\n").filter((line) => line.startsWith("Warning:"));
      assert.deepEqual([warnings.length, stderr.includes(said)], [1, true], stderr);
      assert.doesNotMatch(stderr, /hunter2/);
      // The sidecar's own decoder finds fault with it too.
      const judged = await judge(text);
      assert.doesNotMatch(judged.report, / 0 errors, 0 warnings\n$/, judged.report);
    });
  }

  for (const [said, [plural, specs]] of Object.entries(EDGES)) {
    it(`draw a warning just where the sidecar's decoder finds fault with ${said}`, async () => {
      const both = { warned: 0, taken: 0 };
      for (const spec of specs) {
        const text = manifest(plural, { spec });
        const { status, stderr } = await create(text);
        assert.equal(status, 0, stderr);
        const { report } = await judge(text);
        assert.equal(stderr.includes(said), !/ 0 errors, 0 warnings\n$/.test(report), `${text}: ${stderr}${report}`);
        both[stderr === "" ? "taken" : "warned"]++;
      }
      assert.ok(both.warned > 1 && both.taken > 1, JSON.stringify(both));
    });
  }

  it("draw no warning when there is nothing wrong", async () => {
    for (const [plural, rest] of QUIET) {
      const { status, stderr } = await create(manifest(plural, rest));
      assert.deepEqual([status, stderr], [0, ""]);
    }
  });
});
