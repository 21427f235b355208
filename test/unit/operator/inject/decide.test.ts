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
const amounts = fc.dictionary(fc.constantFrom("cpu", "memory", "other"), word, { maxKeys: 2 });
const labels = fc.dictionary(
  fc.constantFrom("app", "dapr.io/app-id", "dapr.io/metrics-enabled", "dapr.io/sidecar-injected"),
  fc.constantFrom("", "true", "orders"),
);
const spec = fc.record(
  {
    resources: fc.oneof(fc.constant(null), fc.record({ requests: amounts, limits: amounts })),
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
  return fc.record({ annotations, labels, spec, named: fc.boolean() }).map((parts) => {
    const enabled = asks ? { "dapr.io/enabled": "true", "pannier.io/enabled": "true" } : {};
    const rest = Object.fromEntries(Object.entries(parts.annotations).filter(([key]) => !key.endsWith("/enabled")));
    const given = parts.named ? { name: "orders" } : { generateName: "orders-" };
    const metadata = { ...given, labels: parts.labels, annotations: { ...rest, ...enabled } };
    const pod = { metadata, spec: parts.spec };
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
        assert.deepEqual(removal.pod.metadata?.labels ?? {}, pod.metadata?.labels);
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

  const sentenceOf = (pod: Pod): string => decide(pod, "shop", SETTINGS).sentence;

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

  it("minds where a path leads and not how it is written", () => {
    const twice = { "dapr.io/volume-mounts": "a:/data", "dapr.io/volume-mounts-rw": "b://data/./x/../" };
    assert.match(
      sentenceOf(annotated(twice)),
      /volume-mounts-rw: got \/\/data\/\.\/x\/\.\.\/, where something is mounted/,
    );
    assert.match(sentenceOf(annotated({ "dapr.io/volume-mounts": "a:/var/run/dapr-sockets/" })), /is mounted already/);
    assert.match(sentenceOf(annotated({ "dapr.io/volume-mounts": "a:/" })), /is mounted already/);
    // The kubelet puts a slash before a path that has none.
    const app = { name: "app", volumeMounts: [{ name: "data", mountPath: "sockets/" }] };
    const sockets = annotated({ "dapr.io/unix-domain-socket-path": "/sockets" }, { containers: [app] });
    assert.match(sentenceOf(sockets), /got \/sockets, where container app mounts another volume/);
    assert.match(sentenceOf(annotated({ "dapr.io/unix-domain-socket-path": "//" })), /want a folder below the root/);
  });

  it("mounts the sockets once, however their folder is written", () => {
    const pod = annotated({ "dapr.io/unix-domain-socket-path": "/sockets/" });
    const first = decide(pod, "shop", SETTINGS);
    assert.ok(first.outcome === "inject");
    const { metadata } = annotated({ "dapr.io/unix-domain-socket-path": "/sockets", "pannier.io/injected-by": "1" });
    const second = decide({ ...first.pod, metadata }, "shop", SETTINGS);
    assert.ok(second.outcome === "inject", second.sentence);
    assert.equal(second.pod.spec.containers[0]?.volumeMounts?.length, 1);
  });

  it("leaves its defaults of an amount out where the pod has one as a whole, and says so", () => {
    const judged = (resources: unknown, asked: Record<string, string> = {}): [unknown, readonly string[]] => {
      const decision = decide(annotated(asked, { resources }), "shop", SETTINGS);
      assert.ok(decision.outcome === "inject", decision.sentence);
      return [sidecarsOf(decision.pod)[0]?.resources, decision.notes];
    };
    const memory = { limits: { memory: "512Mi" }, requests: { memory: "96Mi" } };
    const note = "spec.resources sets cpu of the whole pod: the sidecar has no defaults of it";
    assert.deepEqual(judged({ requests: { cpu: "10m" } }), [memory, [note]]);
    // Also where it is no amount: the API server has more to say about that.
    for (const cpu of [2, "2 cores", {}, 12_345_678_901_234_567_890n])
      assert.deepEqual(judged({ limits: { cpu } }), [memory, [note]]);
    const both = { requests: { cpu: "1", memory: "1Gi" } };
    const notes = [note.replace("cpu", "cpu and memory").replace("of it", "of them")];
    assert.deepEqual(judged(both), [undefined, notes]);
    const cpu = { "dapr.io/sidecar-cpu-request": "20m" };
    assert.deepEqual(judged(both, cpu), [{ requests: { cpu: "20m" } }, notes]);
    for (const none of [null, {}, { requests: null }, { limits: { "hugepages-2Mi": "2Mi" } }, "x"])
      assert.deepEqual(judged(none)[1], []);
  });

  it("denies an amount of an annotation beyond what the pod has as a whole", () => {
    const resources = { requests: { cpu: "10m" }, limits: { memory: "64Mi" } };
    const more = (name: string, amount: string, spec: object = { resources }): string =>
      sentenceOf(annotated({ [`dapr.io/sidecar-${name}`]: amount }, spec));
    const left = /got 11m, want at most what other containers leave of spec\.resources\.requests\.cpu 10m/;
    assert.match(more("cpu-request", "11m"), left);
    assert.match(more("cpu-limit", "11m"), left);
    assert.match(more("memory-limit", "65Mi"), /-limit: got 65Mi, want at most spec\.resources\.limits\.memory 64Mi/);
    assert.match(
      more("memory-request", "65Mi"),
      /-request: got 65Mi, want at most .* of spec\.resources\.limits\.memory/,
    );
    assert.doesNotMatch(more("cpu-request", "10m") + more("memory-limit", "64Mi"), /want at most/);
  });

  it("counts what the other containers take of the pod's amounts, as far as they run beside the sidecar", () => {
    const cpu = (name: string, request: string | number): object => ({
      name,
      resources: { requests: { cpu: request } },
    });
    const judged = (request: string, initContainers: readonly object[]): string => {
      const spec = { resources: { requests: { cpu: "300m" } }, containers: [cpu("app", 0.1)], initContainers };
      return decide(annotated({ "dapr.io/sidecar-cpu-request": request }, spec), "shop", SETTINGS).outcome;
    };
    assert.deepEqual([judged("200m", []), judged("201m", [])], ["inject", "deny"]);
    const native = { ...cpu("mesh", "1m"), restartPolicy: "Always" };
    assert.deepEqual([judged("200m", [cpu("first", 2)]), judged("200m", [native])], ["inject", "deny"]);
  });

  it("takes an empty annotation of the log for none", () => {
    const settings = { ...SETTINGS, logLevel: "debug", logAsJson: true } as const;
    const decision = decide(annotated({ "dapr.io/log-level": "", "dapr.io/log-as-json": "" }), "shop", settings);
    assert.ok(decision.outcome === "inject");
    const { args } = sidecarsOf(decision.pod)[0] ?? {};
    assert.equal(args?.[args.indexOf("--log-level") + 1], "debug");
    assert.ok(args?.includes("--log-as-json"));
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

  it("gives back labels that were there before, with the values that they had", () => {
    const labels = { app: "orders", "dapr.io/app-id": "orders", "dapr.io/metrics-enabled": "no" };
    const pod = {
      metadata: { name: "orders", labels, annotations: { "dapr.io/enabled": "true" } },
      spec: { containers: [{ name: "app" }] },
    };
    const first = decide(pod, "shop", SETTINGS);
    assert.ok(first.outcome === "inject");
    assert.equal(first.pod.metadata?.labels?.["dapr.io/metrics-enabled"], "true");
    assert.deepEqual(first.notes, []);
    const second = decide(first.pod, "shop", SETTINGS);
    assert.ok(second.outcome === "inject");
    assert.deepEqual(second.notes, []);
    assert.deepEqual(uninject(second.pod), { outcome: "removed", pod });
  });

  it("leaves alone what has no mark, and says of a marked one that cannot be read what is wrong", () => {
    assert.equal(uninject({ spec: { containers: [{ name: "daprd" }] } }).outcome, "nothing");
    const broken = uninject({ metadata: { annotations: { "pannier.io/injected-by": "1" } }, spec: {} });
    assert.deepEqual(broken, { outcome: "no-pod", sentence: "spec.containers: want a list of at least one container" });
  });
});
