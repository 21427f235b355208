// The custom resources in crds/ on a real API server: what they take, keep and refuse, their status, and how kubectl shows
// them.
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { loadAll } from "js-yaml";
import { type Bed, type CommandResult, describeWithBed, sharedBed } from "../cluster/bed.ts";
import {
  daprSchema,
  installCrds,
  installDaprCrds,
  manifest,
  PLURALS,
  type Plural,
  type Schema,
} from "../cluster/crds.ts";
import { judge } from "../docs/judgement.ts";
import { ROOT, readPages } from "../docs/pages.ts";

/** With every field there is, in values that fit. */
function fullValue(schema: Schema): unknown {
  if (schema.enum) return (schema.enum as readonly unknown[])[0];
  if (schema.properties)
    return Object.fromEntries(Object.entries(schema.properties).map(([name, each]) => [name, fullValue(each)]));
  if (schema.additionalProperties) return { "a name": fullValue(schema.additionalProperties) };
  if (schema.items) return [fullValue(schema.items)];
  if (schema.type === "boolean") return true;
  if (schema.type === "integer") return 7;
  return schema.type === "object" || schema.type === undefined ? { any: [1, "thing"] } : "grpc";
}

const TAKEN: Readonly<Record<string, readonly [Plural, object]>> = {
  "no spec at all": ["components", {}],
  "no metadata entries, another block, a version nobody has": [
    "components",
    { spec: { type: "pubsub.kafka", version: "", metadata: [] } },
  ],
  "numbers, booleans, lists and mappings as values": [
    "components",
    {
      spec: {
        type: "state.redis",
        version: "v1",
        metadata: [1, 1.5, true, [1, "a"], { deep: { er: [null] } }, "text"].map((value, at) => ({
          name: `n${at}`,
          value,
        })),
      },
    },
  ],
  "an entry with no value, and one with all three": [
    "components",
    {
      spec: {
        type: "state.redis",
        version: "v1",
        ignoreErrors: true,
        initTimeout: "soon",
        metadata: [{ name: "a" }, { name: "", value: "v", secretKeyRef: { name: "s" }, envRef: "E" }],
      },
      auth: { secretStore: "" },
      scopes: ["", "app", "app"],
    },
  ],
  "policies and targets with nothing in them": ["resiliencies", { spec: { policies: {}, targets: {} } }],
  "durations and policies that nobody understands": [
    "resiliencies",
    {
      spec: {
        policies: { timeouts: { t: "soon" }, retries: { r: { policy: "sometimes", maxRetries: -9 } } },
        targets: {},
      },
    },
  ],
  "a Configuration with nothing in it": ["configurations", { spec: {} }],
  "a collector without an address": [
    "configurations",
    {
      spec: { tracing: { samplingRate: "often", otel: { endpointAddress: "", isSecure: false, protocol: "smoke" } } },
    },
  ],
  "a collector without a protocol, which Dapr passes over": [
    "configurations",
    { spec: { tracing: { samplingRate: "1", otel: { endpointAddress: "a:1", isSecure: false, protocol: "" } } } },
  ],
};
const REFUSED: Readonly<Record<string, readonly [Plural, object, RegExp]>> = {
  "a type without a dot": [
    "components",
    { spec: { type: "redis", version: "v1", metadata: [] } },
    /spec\.type: .*: "redis" must be a building block and a product with a dot between them/,
  ],
  "a type without a building block": [
    "components",
    { spec: { type: ".redis", version: "v1", metadata: [] } },
    /spec\.type/,
  ],
  "a type without a product": ["components", { spec: { type: "state.", version: "v1", metadata: [] } }, /spec\.type/],
  "an unknown protocol of a collector": [
    "configurations",
    {
      spec: { tracing: { samplingRate: "1", otel: { endpointAddress: "a:1", isSecure: false, protocol: "smoke" } } },
    },
    /spec\.tracing\.otel: .*: protocol "smoke" must be grpc or http/,
  ],
};
const SETUP_WITHIN_MS = 120_000;

describeWithBed("custom resources in a cluster", () => {
  let bed: Bed;
  let namespace: string;
  const inNamespace = (...args: string[]): string[] => ["-n", namespace, ...args];
  const create = (text: string): Promise<CommandResult> =>
    bed.tryKubectl(inNamespace("create", "--dry-run=server", "-f", "-"), text);

  before(async function () {
    this.timeout(SETUP_WITHIN_MS);
    bed = await sharedBed();
    namespace = await bed.namespace();
    await installCrds(bed);
  });

  it("are established, under names of their own and in two categories", async () => {
    for (const plural of PLURALS) {
      const path = 'jsonpath={.status.conditions[?(@.status=="True")].type}';
      const conditions = await bed.kubectl(["get", "crd", `${plural}.dapr.io`, "-o", path]);
      assert.deepEqual(conditions.split(" ").sort(), ["Established", "NamesAccepted"]);
      await bed.kubectl(inNamespace("create", "-f", "-"), manifest(plural, {}, "named"));
    }
    const names = "component.dapr.io/named\nresiliency.dapr.io/named\nconfiguration.dapr.io/named\n".split("\n").sort();
    for (const word of ["dcomp,dresil,dconf", "pannier", "dapr"])
      assert.deepEqual((await bed.kubectl(inNamespace("get", word, "-o", "name"))).split("\n").sort(), names);
  });

  for (const plural of PLURALS) {
    it(`keep every field of Dapr's ${plural}`, async () => {
      const full = fullValue(daprSchema(plural)) as { spec: { type?: string } };
      if (plural === "components") full.spec.type = "state.redis";
      await bed.kubectl(inNamespace("create", "-f", "-"), manifest(plural, full, "full"));
      const kept = JSON.parse(await bed.kubectl(inNamespace("get", plural, "full", "-o", "json")));
      const { apiVersion: _version, kind: _kind, metadata: _metadata, ...rest } = kept;
      assert.deepEqual(rest, full);
    });
  }

  it("take every manifest that the pages and examples show", async () => {
    const shown = readPages()
      .flatMap(({ blocks }) => blocks)
      .filter(({ language, text, wrongOnPurpose }) => language === "yaml" && !wrongOnPurpose && /^kind: /m.test(text))
      .map(({ page, line, text }) => [`${page}:${line}`, text] as const);
    const examples = globSync("examples/**/*.{yaml,yml}", { cwd: ROOT, exclude: ["**/node_modules"] });
    assert.ok(examples.includes("examples/components/statestore.yaml"));
    const all = [...shown, ...examples.map((path) => [path, readFileSync(join(ROOT, path), "utf8")] as const)];
    const ours = all.filter(([, text]) => /^apiVersion: dapr\.io\/v1alpha1$/m.test(text));
    assert.ok(ours.length > 10);
    const documents = ours.flatMap(([at, text]) =>
      loadAll(text)
        .filter(isOurs)
        .map((document) => [at, document] as const),
    );
    const items = documents.map(([, document], index) => withName(document, `shown-${index}`));
    const { status, stderr } = await create(JSON.stringify({ apiVersion: "v1", kind: "List", items }));
    assert.equal(status, 0, `${stderr}\n${documents.map(([at], index) => `shown-${index}: ${at}`).join("\n")}`);
  }).timeout(SETUP_WITHIN_MS);

  for (const [title, [plural, rest]] of Object.entries(TAKEN)) {
    it(`take ${title}, as Dapr's do`, async () => {
      const { status, stderr } = await create(manifest(plural, rest));
      assert.equal(status, 0, stderr);
    });
  }

  it("drop fields that nobody knows, and do not refuse them", async () => {
    const spec = { type: "state.redis", version: "v1", metadata: [{ name: "a", surprise: 1 }], surprise: 2 };
    const args = inNamespace("create", "--dry-run=server", "--validate=ignore", "-o", "json", "-f", "-");
    const kept = JSON.parse(await bed.kubectl(args, manifest("components", { spec, surprise: 3 })));
    assert.deepEqual(
      [kept.spec, kept.surprise],
      [{ type: "state.redis", version: "v1", metadata: [{ name: "a" }] }, undefined],
    );
  });

  for (const [title, [plural, rest, said]] of Object.entries(REFUSED)) {
    it(`refuse ${title}, with which no sidecar starts`, async () => {
      const { status, stderr } = await create(manifest(plural, rest));
      assert.equal(status, 1);
      assert.match(stderr, said);
    });
  }

  it("show type, version, readiness, its reason and age of Components", async () => {
    const spec = { type: "state.redis", version: "v1", metadata: [] };
    await bed.kubectl(inNamespace("create", "-f", "-"), manifest("components", { spec }, "shown"));
    const header = "NAME +TYPE +VERSION +READY +REASON +AGE";
    assert.match(
      await bed.kubectl(inNamespace("get", "components", "shown")),
      new RegExp(`^${header}\nshown +state.redis +v1 +\\d+s\n$`),
    );
    await applyStatus("shown", "pannier-status", { conditions: [condition("Ready", "False", "Unreachable")] });
    assert.match(
      await bed.kubectl(inNamespace("get", "components", "shown")),
      new RegExp(`^${header}\nshown +state.redis +v1 +False +Unreachable +\\d+s\n$`),
    );
  });

  it("are judged by `pannier check` in the list that kubectl prints", async () => {
    const memory = { type: "state.in-memory", version: "v1", metadata: [] };
    const redis = { ...memory, type: "state.redis", metadata: [{ name: "redisDB", value: "first" }] };
    for (const [name, spec] of Object.entries({ good: memory, bad: redis }))
      await bed.kubectl(inNamespace("create", "-f", "-"), manifest("components", { spec }, name));
    await applyStatus("good", "pannier-status", { conditions: [condition("Ready", "True", "Ready")] });
    const { report } = await judge(await bed.kubectl(inNamespace("get", "components", "good", "bad", "-o", "yaml")));
    const [fault = "", note = "", ...rest] = report.split("\n");
    assert.match(fault, /^manifest\.yaml:\d\d: component "bad" \(state\.redis\): redisDB: got "first", want/);
    assert.match(note, /^manifest\.yaml:1: note: this List is looked into here/);
    assert.match(rest.join("\n"), /^2 Components in 1 file: \d errors?, 0 warnings\n$/);
  });

  it("let several owners each apply their part of a status, and count generations of the rest only", async () => {
    const spec = { type: "state.redis", version: "v1", metadata: [] };
    await bed.kubectl(
      inNamespace("create", "-f", "-"),
      manifest("components", { spec, status: { observedGeneration: 9 } }, "owned"),
    );
    const first = {
      observedGeneration: 1,
      conditions: [condition("Ready", "True", "Ready")],
      apps: [{ appId: "one", ready: 1, total: 2, message: "no" }],
    };
    await applyStatus("owned", "pannier-status", first);
    await applyStatus("owned", "somebody-else", {
      conditions: [condition("Noticed", "True", "Seen")],
      apps: [{ appId: "two", ready: 1, total: 1 }],
    });
    const read = async () => JSON.parse(await bed.kubectl(inNamespace("get", "component", "owned", "-o", "json")));
    const both = await read();
    assert.equal(both.metadata.generation, 1);
    assert.deepEqual(
      [both.status.observedGeneration, both.status.conditions.map(typeOf), both.status.apps.map(appOf)],
      [1, ["Ready", "Noticed"], ["one", "two"]],
    );
    await applyStatus("owned", "pannier-status", { observedGeneration: 1 });
    const { status } = await read();
    assert.deepEqual([status.conditions.map(typeOf), status.apps.map(appOf)], [["Noticed"], ["two"]]);
  });

  it("refuse a status that is none", async () => {
    const spec = { type: "state.redis", version: "v1", metadata: [] };
    await bed.kubectl(inNamespace("create", "-f", "-"), manifest("components", { spec }, "mistaken"));
    await assert.rejects(
      applyStatus("mistaken", "pannier-status", { conditions: [condition("Ready", "Perhaps", "Ready")] }),
      /Unsupported value: "Perhaps"/,
    );
    await assert.rejects(applyStatus("mistaken", "pannier-status", { apps: [{ ready: 1 }] }), /appId/);
  });

  function applyStatus(name: string, manager: string, status: object): Promise<string> {
    const args = ["apply", "--server-side", "--subresource=status", `--field-manager=${manager}`, "-f", "-"];
    return bed.kubectl(inNamespace(...args), manifest("components", { status }, name));
  }

  describe("of Dapr in their place", () => {
    before(async function () {
      this.timeout(SETUP_WITHIN_MS);
      const spec = { type: "state.redis", version: "v1", metadata: [] };
      await bed.kubectl(inNamespace("create", "-f", "-"), manifest("components", { spec }, "kept"));
      await installDaprCrds(bed);
    });

    after(async function () {
      this.timeout(SETUP_WITHIN_MS);
      await installCrds(bed);
    });

    it("keep the objects, have no status to write and no columns, and give room to ours again", async () => {
      assert.match(await bed.kubectl(inNamespace("get", "components", "kept")), /^NAME +AGE\nkept +\d+s\n$/);
      const status = { conditions: [condition("Ready", "True", "Ready")] };
      await assert.rejects(
        applyStatus("kept", "pannier-status", status),
        /could not find the requested resource|NotFound/,
      );
      await installCrds(bed);
      await applyStatus("kept", "pannier-status", status);
      assert.match(await bed.kubectl(inNamespace("get", "components", "kept")), /kept +state.redis +v1 +True +Ready/);
    }).timeout(SETUP_WITHIN_MS);
  });
});

function condition(type: string, status: string, reason: string): object {
  return { type, status, reason, message: "", observedGeneration: 1, lastTransitionTime: "2026-01-01T00:00:00Z" };
}

function typeOf({ type }: { readonly type: string }): string {
  return type;
}

function appOf({ appId }: { readonly appId: string }): string {
  return appId;
}

/** A file may hold Kubernetes' own resources too, with names that belong together. */
function isOurs(document: unknown): boolean {
  return (document as { readonly apiVersion?: string } | null)?.apiVersion === "dapr.io/v1alpha1";
}

function withName(document: unknown, name: string): object {
  const { metadata, ...rest } = document as {
    readonly metadata: { readonly namespace?: string; readonly name: string };
  };
  const { namespace: _namespace, ...kept } = metadata;
  return { ...rest, metadata: { ...kept, name } };
}
