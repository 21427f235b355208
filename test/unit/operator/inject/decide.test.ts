import assert from "node:assert/strict";
import fc from "fast-check";
import { applyPatch } from "rfc6902";
import { ANNOTATIONS, ANNOTATIONS_WITHOUT_EFFECT } from "#crds/annotations.ts";
import { decide, NOTES_MAX } from "#operator/inject/decide.ts";
import type { Container, Pod } from "#operator/inject/object.ts";
import { patchOf } from "#operator/inject/patch.ts";
import { defaultSettings } from "#operator/inject/settings.ts";
import { uninject } from "#operator/inject/uninject.ts";
import { readSidecarFlags } from "#sidecar/flags.ts";

const SETTINGS = defaultSettings("pannier-system");
const KEYS = [...Object.keys(ANNOTATIONS), ...Object.keys(ANNOTATIONS_WITHOUT_EFFECT)].flatMap((name) => [
  `dapr.io/${name}`,
  `pannier.io/${name}`,
]);

const word = fc.constantFrom(
  "true",
  "false",
  "80",
  "3500",
  "9090",
  "10m",
  "64Mi",
  "data:/data",
  "A=1",
  "/tmp/s",
  "x",
  "",
);
const name = fc.constantFrom("app", "web", "data", "helper", "mesh", "HTTP");
const env = fc.record({ name: fc.constantFrom("A", "B", "DAPR_HTTP_PORT", "APP_PROTOCOL"), value: fc.string() });
const container = fc.record(
  {
    name,
    image: fc.string(),
    env: fc.oneof(fc.constant(null), fc.array(env, { maxLength: 4 })),
    ports: fc.array(fc.record({ containerPort: fc.constantFrom(80, 3500, 9090) }), { maxLength: 2 }),
    volumeMounts: fc.array(fc.record({ name, mountPath: fc.constantFrom("/data", "/tmp/s", "/x") }), { maxLength: 2 }),
  },
  { requiredKeys: ["name"] },
);
const spec = fc.record(
  {
    containers: fc.array(container, { minLength: 1, maxLength: 3 }),
    initContainers: fc.oneof(fc.constant(null), fc.array(container, { maxLength: 3 })),
    volumes: fc.oneof(fc.constant(null), fc.array(fc.record({ name, emptyDir: fc.constant({}) }), { maxLength: 3 })),
    hostNetwork: fc.boolean(),
    restartPolicy: fc.constantFrom("Always", "Never"),
  },
  { requiredKeys: ["containers"] },
);
const annotations = fc.dictionary(fc.constantFrom(...KEYS), fc.oneof({ weight: 3, arbitrary: word }, fc.string()), {
  maxKeys: 5,
});

function pods(asks: boolean): fc.Arbitrary<Pod> {
  return fc.record({ annotations, spec, named: fc.boolean() }).map((parts) => {
    const enabled = asks ? { "dapr.io/enabled": "true", "pannier.io/enabled": "true" } : {};
    const rest = Object.fromEntries(Object.entries(parts.annotations).filter(([key]) => !key.endsWith("/enabled")));
    const given = parts.named ? { name: "orders" } : { generateName: "orders-" };
    const pod = { metadata: { ...given, annotations: { ...rest, ...enabled } }, spec: parts.spec };
    // As a webhook gets it: fast-check also makes objects without a prototype.
    return JSON.parse(JSON.stringify(pod));
  });
}

function sidecarsOf({ spec: { initContainers, containers } }: Pod): Container[] {
  return [...(initContainers ?? []), ...containers].filter((each) => each.name === "daprd");
}

describe("decide, over generated pods", () => {
  it("gives an annotated pod exactly one sidecar, or denies it", () => {
    let injected = 0;
    fc.assert(
      fc.property(pods(true), (pod) => {
        const decision = decide(pod, "shop", SETTINGS);
        assert.notEqual(decision.outcome, "skip");
        if (decision.outcome !== "inject") return;
        injected++;
        assert.equal(sidecarsOf(decision.pod).length, 1);
      }),
      { numRuns: 1000 },
    );
    assert.ok(injected > 100, String(injected));
  });

  it("never touches a pod that does not ask", () => {
    fc.assert(fc.property(pods(false), (pod) => assert.equal(decide(pod, "shop", SETTINGS).outcome, "skip")));
  });

  it("makes a patch that leads to the wanted pod, and leaves the pod it was given as it was", () => {
    fc.assert(
      fc.property(pods(true), (pod) => {
        const before = structuredClone(pod);
        const decision = decide(pod, "shop", SETTINGS);
        assert.deepEqual(pod, before);
        if (decision.outcome !== "inject") return;
        const patched: unknown = structuredClone(pod);
        assert.ok(applyPatch(patched, patchOf(pod, decision.pod)).every((result) => result === null));
        assert.deepEqual(patched, structuredClone(decision.pod));
      }),
      { numRuns: 500 },
    );
  });

  it("changes nothing the second time, and what it put in comes out again", () => {
    fc.assert(
      fc.property(pods(true), (pod) => {
        const first = decide(pod, "shop", SETTINGS);
        if (first.outcome !== "inject") return;
        const second = decide(first.pod, "shop", SETTINGS);
        assert.ok(second.outcome === "inject", second.sentence);
        assert.deepEqual(patchOf(first.pod, second.pod), []);
        const removal = uninject(first.pod);
        assert.ok(removal.outcome === "removed");
        assert.deepEqual(sidecarsOf(removal.pod), []);
        assert.equal(uninject(removal.pod).outcome, "nothing");
      }),
      { numRuns: 500 },
    );
  });

  it("throws for no value of an annotation and for no shape of a pod", () => {
    const anything = fc.record({
      metadata: fc.record({ annotations: fc.dictionary(fc.constantFrom(...KEYS), fc.anything({ withBigInt: true })) }),
      spec: fc.oneof(fc.anything(), fc.constant({ containers: [{ name: "app" }] })),
    });
    fc.assert(
      fc.property(anything, (value) => {
        // As a manifest gives it: whole numbers beyond a double are bigints there.
        Object.assign(value.metadata.annotations, { "dapr.io/enabled": "true" });
        decide(value, "shop", SETTINGS);
      }),
      { numRuns: 1000 },
    );
    for (const value of [null, 1, "x", [], {}, { metadata: null }, { metadata: { annotations: [] } }])
      assert.equal(decide(value, "shop", SETTINGS).outcome, "skip");
  });
});

describe("decide", () => {
  const annotated = (more: Record<string, string>, more2: object = {}): Pod => ({
    metadata: { name: "orders", annotations: { "dapr.io/enabled": "true", ...more } },
    spec: { containers: [{ name: "app" }], ...more2 },
  });

  it("denies what asks for a sidecar and is no pod, with the place", () => {
    const wrong: [unknown, RegExp][] = [
      [undefined, /spec: want a mapping/],
      [{}, /spec.containers: want a list of at least one/],
      [{ containers: [] }, /at least one container/],
      [{ containers: ["x"] }, /spec.containers\[0\]: want a mapping/],
      [{ containers: [{ name: "a" }], volumes: [{}] }, /spec.volumes\[0\].name: want text/],
      [{ containers: [{ name: "a", env: {} }] }, /spec.containers\[0\].env: want a list/],
      [{ containers: [{ name: "a", ports: [{ containerPort: "80" }] }] }, /ports\[0\].containerPort: want a number/],
      [{ containers: [{ name: "a", volumeMounts: [{ name: "v" }] }] }, /volumeMounts\[0\].mountPath: want text/],
    ];
    for (const [spec, pattern] of wrong) {
      const decision = decide({ metadata: { annotations: { "dapr.io/enabled": "true" } }, spec }, "shop", SETTINGS);
      assert.equal(decision.outcome, "deny");
      assert.match(decision.sentence, pattern);
    }
  });

  it("starts the sidecar with arguments that it understands", () => {
    const decision = decide(
      annotated({ "dapr.io/app-port": "80", "dapr.io/max-body-size": "1.5Ki" }),
      "shop",
      SETTINGS,
    );
    assert.ok(decision.outcome === "inject");
    const [program, ...args] = sidecarsOf(decision.pod)[0]?.args ?? [];
    assert.equal(program, "/daprd");
    const request = readSidecarFlags(args, {});
    assert.equal(request.asks, "serve", JSON.stringify(request));
  });

  it("goes by the sidecar that is there, whatever the settings have become", () => {
    const classic = { ...SETTINGS, nativeSidecars: { supported: true, byDefault: false } };
    const old = { ...SETTINGS, nativeSidecars: { supported: false, byDefault: false } };
    for (const [before, after] of [
      [classic, SETTINGS],
      [SETTINGS, classic],
      [SETTINGS, old],
    ] as const) {
      const first = decide(annotated({}, { initContainers: [{ name: "first" }] }), "shop", before);
      assert.ok(first.outcome === "inject");
      const second = decide(first.pod, "shop", after);
      assert.ok(second.outcome === "inject", second.sentence);
      assert.deepEqual(patchOf(first.pod, second.pod), []);
    }
  });

  it("has no argument for an app that listens nowhere", () => {
    const decision = decide(annotated({ "dapr.io/app-port": "0" }), "shop", SETTINGS);
    assert.ok(decision.outcome === "inject");
    assert.ok(!sidecarsOf(decision.pod)[0]?.args?.includes("--app-port"));
  });

  it("minds a declared port only where it is of TCP", () => {
    const onHost = { hostNetwork: true, dnsPolicy: "ClusterFirstWithHostNet" };
    const outcomeFor = (protocol: string): string => {
      const ports = [{ containerPort: 3500, protocol }];
      return decide(annotated({}, { ...onHost, containers: [{ name: "app", ports }] }), "shop", SETTINGS).outcome;
    };
    assert.deepEqual([outcomeFor("UDP"), outcomeFor("TCP")], ["inject", "deny"]);
  });

  it("denies a mount over the sidecar's own", () => {
    for (const path of ["/var/run/secrets/dapr.io/sentrytoken", "/var/run/dapr-sockets"]) {
      const decision = decide(annotated({ "dapr.io/volume-mounts": `data:${path}` }), "shop", SETTINGS);
      assert.match(decision.outcome === "deny" ? decision.sentence : "", /where something is mounted already/);
    }
  });

  it("works only in the namespaces that it is told of", () => {
    const only = { ...SETTINGS, namespaces: ["shop"] };
    assert.equal(decide(annotated({}), "shop", only).outcome, "inject");
    assert.equal(decide(annotated({}), "bank", only).outcome, "skip");
    assert.equal(decide(annotated({}), "kube-system", SETTINGS).outcome, "skip");
    assert.equal(decide(annotated({}), "pannier-system", SETTINGS).outcome, "skip");
  });

  it(`tells at most ${NOTES_MAX} notes, short enough for a warning of an admission`, () => {
    const many = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`dapr.io/unheard-of-${index}`, "x"]));
    const decision = decide(annotated(many), "shop", SETTINGS);
    assert.ok(decision.outcome === "inject");
    assert.equal(decision.notes.length, NOTES_MAX);
    assert.equal(decision.notes.at(-1), `and ${50 - NOTES_MAX + 1} more`);
    assert.ok(decision.notes.every((note) => note.length <= 256));
  });

  it("patches a pod of very many variables", () => {
    const env = Array.from({ length: 20_000 }, (_, index) => ({ name: `V${index}`, value: "x" }));
    const pod = annotated({}, { containers: [{ name: "app", env }] });
    const decision = decide(pod, "shop", SETTINGS);
    assert.ok(decision.outcome === "inject");
    const inEnv = patchOf(pod, decision.pod).filter(({ path }) => path.includes("/env/"));
    assert.deepEqual(
      inEnv.map(({ op, path }) => `${op} ${path}`),
      [0, 1, 2].map((index) => `add /spec/containers/0/env/${index}`),
    );
  });
});

const FROM_SECRET = { name: "B", valueFrom: { secretKeyRef: { name: "s", key: "k" } } };

describe("uninject", () => {
  it("gives back the pod that was injected", () => {
    const pod = {
      metadata: { name: "orders", annotations: { "dapr.io/enabled": "true", "dapr.io/unix-domain-socket-path": "/s" } },
      spec: {
        initContainers: [{ name: "first" }],
        containers: [
          {
            name: "app",
            env: [{ name: "A", value: "1" }, FROM_SECRET],
            volumeMounts: [{ name: "v", mountPath: "/v" }],
          },
        ],
        volumes: [{ name: "v", emptyDir: {} }],
      },
    };
    const decision = decide(pod, "shop", SETTINGS);
    assert.ok(decision.outcome === "inject");
    assert.deepEqual(uninject(decision.pod), { outcome: "removed", pod });
  });

  it("leaves a variable of the app's own value", () => {
    const own = { name: "DAPR_HTTP_PORT", value: "1" };
    const pod = {
      metadata: { name: "orders", annotations: { "dapr.io/enabled": "true" } },
      spec: { containers: [{ name: "app", env: [own] }] },
    };
    const decision = decide(pod, "shop", SETTINGS);
    assert.ok(decision.outcome === "inject");
    assert.deepEqual(uninject(decision.pod), { outcome: "removed", pod });
  });

  it("leaves alone what has no mark, and says of a marked one that cannot be read what is wrong", () => {
    assert.equal(uninject({ spec: { containers: [{ name: "daprd" }] } }).outcome, "nothing");
    const broken = uninject({ metadata: { annotations: { "pannier.io/injected-by": "1" } }, spec: {} });
    assert.deepEqual(broken, { outcome: "no-pod", sentence: "spec.containers: want a list of at least one container" });
  });
});
