// Pods with pluggable components: what golden pods do not show, and what holds for all.
import assert from "node:assert/strict";
import fc from "fast-check";
import { applyPatch } from "rfc6902";
import { type Decision, decide } from "#operator/inject/decide.ts";
import type { Container, Pod } from "#operator/inject/object.ts";
import { patchOf } from "#operator/inject/patch.ts";
import { BROUGHT_MAX, CONTAINER_CHARS_MAX } from "#operator/inject/pluggable.ts";
import { type ComponentContainer, defaultSettings, type InjectSettings } from "#operator/inject/settings.ts";
import { uninject } from "#operator/inject/uninject.ts";

const SETTINGS = defaultSettings("pannier-system");
const NAMES = "dapr.io/pluggable-components";
const FOLDER = "dapr.io/pluggable-components-sockets-folder";
const INJECT = "dapr.io/inject-pluggable-components";
const VOLUME = "dapr-components-unix-domain-socket";
const VARIABLE = "DAPR_COMPONENT_SOCKETS_FOLDER";

const STORE = { name: "my-store", image: "my-store", restartPolicy: "Always" };

function podOf(annotations: Record<string, string>, spec: Partial<Pod["spec"]> = { initContainers: [STORE] }): Pod {
  return {
    metadata: { name: "orders", annotations: { "dapr.io/enabled": "true", ...annotations } },
    spec: { containers: [{ name: "app", image: "app" }], ...spec },
  };
}

function brings(...texts: readonly (string | Partial<ComponentContainer>)[]): InjectSettings {
  const componentContainers = texts.map((each, nth) => {
    const given = typeof each === "string" ? { text: each } : each;
    return { component: `store-${nth}`, scopes: [], text: "", ...given };
  });
  return { ...SETTINGS, componentContainers };
}

function injected(pod: Pod, settings = SETTINGS): Extract<Decision, { outcome: "inject" }> {
  const decision = decide(pod, "shop", settings);
  assert.ok(decision.outcome === "inject", decision.sentence);
  return decision;
}

function denied(pod: Pod, settings = SETTINGS): string {
  const decision = decide(pod, "shop", settings);
  assert.equal(decision.outcome, "deny", JSON.stringify(decision));
  return decision.sentence;
}

function containersOf({ spec }: Pod): readonly Container[] {
  return [...(spec.initContainers ?? []), ...spec.containers];
}

function named(pod: Pod, name: string): Container {
  return containersOf(pod).find((each) => each.name === name) ?? assert.fail(name);
}

function variable(container: Container, name: string): unknown {
  return (container.env ?? []).find((each) => each.name === name)?.value;
}

describe("a pod with pluggable components", () => {
  it("has a folder of its own kind only where a component is named", () => {
    const { pod } = injected(podOf({ [FOLDER]: "/sockets" }));
    assert.doesNotMatch(JSON.stringify(pod.spec), new RegExp(`${VOLUME}|SOCKETS_FOLDER`));
  });

  it("has the default folder where its annotation is empty", () => {
    const { pod } = injected(podOf({ [NAMES]: "my-store", [FOLDER]: "" }));
    assert.equal(variable(named(pod, "daprd"), "DAPR_COMPONENTS_SOCKETS_FOLDER"), "/tmp/dapr-components-sockets");
    assert.equal(variable(named(pod, "my-store"), VARIABLE), "/tmp/dapr-components-sockets");
  });

  it("is refused when the folder is no path, or would hold a variable's value", () => {
    for (const folder of ["sockets", "/a:b", "/$(HOME)", `/${"x".repeat(81)}`])
      assert.match(denied(podOf({ [NAMES]: "my-store", [FOLDER]: folder })), /sockets-folder: got .*want an absolute/);
  });

  it("is refused when the folder is where the sidecar has something else, however it is written", () => {
    for (const folder of ["//", "/var/run/dapr-sockets/", "/var/run/secrets/dapr.io/./sentrytoken"])
      assert.match(denied(podOf({ [NAMES]: "my-store", [FOLDER]: folder })), /where the sidecar has something else/);
    const mount = { "dapr.io/volume-mounts": "data:/tmp/dapr-components-sockets/" };
    assert.match(denied(podOf({ [NAMES]: "my-store", ...mount })), /volume-mounts: got .*is mounted already/);
    injected(podOf(mount));
  });

  it("is refused when it names the sidecar", () => {
    assert.match(denied(podOf({ [NAMES]: "my-store,daprd" })), /got daprd, which is the sidecar itself/);
  });

  it("is refused when a name is none", () => {
    assert.match(denied(podOf({ [NAMES]: "my-store,My_Store" })), /want name,name2, which entry 2 is not/);
  });

  it("may have a volume of the injector's name for itself, unless it has components", () => {
    const spec = {
      initContainers: [{ ...STORE, volumeMounts: [{ name: VOLUME, mountPath: "/x" }] }],
      volumes: [{ name: VOLUME, emptyDir: {} }],
    };
    assert.match(denied(podOf({ [NAMES]: "my-store" }, spec)), new RegExp(`rename the volume ${VOLUME}`));
    const pod = podOf({}, spec);
    assert.deepEqual(uninject(injected(pod).pod), { outcome: "removed", pod });
  });

  it("may say the folder by a variable of the sidecar too, if it is the same", () => {
    const pod = (env: Record<string, string>): Pod => podOf({ [NAMES]: "my-store", [FOLDER]: "/sockets", ...env });
    const own = "DAPR_COMPONENTS_SOCKETS_FOLDER=/sockets";
    const { env } = named(injected(pod({ "dapr.io/env": own })).pod, "daprd");
    assert.equal((env ?? []).filter(({ name }) => name === "DAPR_COMPONENTS_SOCKETS_FOLDER").length, 1);
    const other = denied(pod({ "dapr.io/env": "DAPR_COMPONENTS_SOCKETS_FOLDER=/s3cret" }));
    assert.match(other, /dapr\.io\/env: got DAPR_COMPONENTS_SOCKETS_FOLDER, want .*-sockets-folder in its place/);
    assert.doesNotMatch(other, /s3cret/);
    assert.match(denied(pod({ "dapr.io/env-from-secret": `${VARIABLE}=s:k` })), /env-from-secret: got DAPR_COMPONENT_/);
    injected(podOf({ "dapr.io/env": "DAPR_COMPONENTS_SOCKETS_FOLDER=/elsewhere" }));
  });

  it("is refused when its sidecar came before its components were named", () => {
    const { pod } = injected(podOf({}));
    const annotations = { ...pod.metadata?.annotations, [NAMES]: "my-store" };
    assert.match(denied({ ...pod, metadata: { ...pod.metadata, annotations } }), /take the sidecar out first/);
  });

  it("is told of a component that keeps it running when its app has ended", () => {
    const beside = { containers: [{ name: "app" }, { name: "my-store" }], restartPolicy: "Never" };
    assert.match(
      injected(podOf({ [NAMES]: "my-store" }, beside)).notes.join(),
      /container my-store keeps the pod running/,
    );
    const { notes } = injected(podOf({ [NAMES]: "my-store" }, { initContainers: [STORE], restartPolicy: "Never" }));
    assert.deepEqual(notes, []);
  });

  it("starts its sidecar without a wait when one component of several starts with the app", () => {
    const both = { initContainers: [STORE], containers: [{ name: "app" }, { name: "late" }] };
    const probe = (names: string): string =>
      JSON.stringify(named(injected(podOf({ [NAMES]: names }, both)).pod, "daprd").startupProbe);
    assert.match(probe("my-store"), /outbound/);
    assert.match(probe("my-store,late"), /^\{"tcpSocket":\{"port":3501\}/);
  });
});

describe("a pod into which Components bring containers", () => {
  const pod = podOf({ [INJECT]: "true" }, {});

  it("is refused with the Component's name when one cannot be read, and never with its text", () => {
    const wrong: [string, RegExp][] = [
      ["s3cret: x", /Component store-0, dapr\.io\/component-container: want a container, in JSON/],
      ["[]", /want a container, in JSON/],
      ["null", /want a container, in JSON/],
      ["{}", /image: want text/],
      ['{"image": 1}', /image: want text/],
      ['{"image": "x", "name": 1}', /container\.name: want text/],
      ['{"image": "x", "name": "A.b"}', /name: got "A\.b", want a container's name/],
      ['{"image": "x", "env": {"s3cret": 1}}', /container\.env: want a list/],
      [`{"image": "x", "args": ${"[".repeat(30)}${"]".repeat(30)}}`, /want a container, in JSON/],
      [`{"image": "${"x".repeat(CONTAINER_CHARS_MAX)}"}`, /want at most 16384 characters/],
    ];
    for (const [text, pattern] of wrong) {
      const sentence = denied(pod, brings(text));
      assert.match(sentence, pattern);
      assert.doesNotMatch(sentence, /s3cret/);
    }
  });

  it("minds only Components that its app may have", () => {
    const settings = brings({ text: "wrong", scopes: ["stock"] }, { text: '{"image": "x"}', scopes: ["orders"] });
    assert.equal(named(injected(pod, settings).pod, "store-1").image, "x");
  });

  it("has as many of them as it may, and no more", () => {
    const many = (count: number): InjectSettings =>
      brings(...Array.from({ length: count }, (_, nth) => `{"image": "x${nth}"}`));
    assert.equal(containersOf(injected(pod, many(BROUGHT_MAX)).pod).length, BROUGHT_MAX + 2);
    assert.match(denied(pod, many(BROUGHT_MAX + 1)), /Components have 51 of them, want at most 50/);
  });

  it("has one for each image", () => {
    const text = '{"image": "x"}';
    const { spec } = injected(pod, brings(text, text, '{"image": "x", "name": "other"}')).pod;
    assert.deepEqual(
      spec.initContainers?.map(({ name }) => name),
      ["store-0", "daprd"],
    );
  });

  it("is refused when two of them have one name", () => {
    const settings = brings('{"image": "x", "name": "same"}', '{"image": "y", "name": "same"}');
    assert.match(denied(pod, settings), /Component store-1, .*name: got same, as another container/);
  });

  it("is refused when one of them would be the sidecar", () => {
    assert.match(denied(pod, brings('{"image": "x", "name": "daprd"}')), /Component store-0, .*name: got daprd, as/);
  });

  it("never gives one of them the sidecar's identity", () => {
    const mounts = [{ name: "dapr-identity-token", mountPath: "/token" }];
    const settings = brings(JSON.stringify({ image: "x", volumeMounts: mounts }));
    assert.match(denied(pod, settings), /rename the volume dapr-identity-token/);
  });

  it("counts what they request of the pod's amounts as a whole", () => {
    const resources = { requests: { cpu: "1" } };
    const settings = brings(JSON.stringify({ image: "x", resources: { requests: { cpu: "950m" } } }));
    const asks = (cpu: string): Pod => podOf({ [INJECT]: "true", "dapr.io/sidecar-cpu-request": cpu }, { resources });
    injected(asks("50m"), settings);
    assert.match(denied(asks("51m"), settings), /sidecar-cpu-request: got 51m, want at most what other containers/);
  });

  it("keeps what was brought when Components change afterwards", () => {
    const first = injected(pod, brings('{"image": "x"}')).pod;
    for (const later of [brings('{"image": "y"}'), SETTINGS, brings("wrong")]) {
      const second = injected(first, later);
      assert.deepEqual([patchOf(first, second.pod), second.notes], [[], []]);
    }
  });
});

const ALL: readonly string[] = ["one", "two", "three", "four"];
const component = fc.constantFrom(...ALL);
interface Shape {
  /** Components among the init containers; the others of ALL stand beside the app. */
  readonly init: readonly string[];
  /** Whether an init container that ends follows. */
  readonly ending: boolean;
  readonly native: boolean;
  readonly inject: boolean;
  readonly named: readonly string[];
  readonly brought: readonly string[];
  readonly hasVolumes: boolean;
}

const volumes = [{ name: "data", emptyDir: {} }];
const volumeMounts = [{ name: "data", mountPath: "/data" }];
const shape: fc.Arbitrary<Shape> = fc.record({
  init: fc.uniqueArray(component, { maxLength: 4 }),
  ending: fc.boolean(),
  native: fc.boolean(),
  inject: fc.boolean(),
  named: fc.uniqueArray(component, { maxLength: 4 }),
  brought: fc.uniqueArray(fc.constantFrom<string>("five", "six"), { maxLength: 2 }),
  hasVolumes: fc.boolean(),
});

function generated({ init, ending, native, inject, named: names, hasVolumes }: Shape): Pod {
  const natives = init.map((name) => ({ name, image: name, restartPolicy: "Always" }));
  const initContainers = [...natives, ...(ending ? [{ name: "migrate", image: "m" }] : [])];
  const beside = ALL.filter((name) => !init.includes(name)).map((name) => ({ name, image: name }));
  const annotations = {
    ...(names.length === 0 ? {} : { [NAMES]: names.join(", ") }),
    [INJECT]: String(inject),
    "dapr.io/enable-native-sidecar": String(native),
  };
  return podOf(annotations, {
    ...(initContainers.length === 0 ? {} : { initContainers }),
    containers: [{ name: "app", image: "app" }, ...beside],
    ...(hasVolumes ? { volumes } : {}),
  });
}

describe("decide, over generated pods with components", () => {
  /** Pod, the same with its sidecar, and which of its containers are components. */
  const overAll = (check: (pod: Pod, made: Pod, components: ReadonlySet<string>) => void): void => {
    const property = fc.property(shape, (each) => {
      const texts = each.brought.map((name) => JSON.stringify({ name, image: name, volumeMounts }));
      const pod = generated(each);
      const made = injected(pod, brings(...texts)).pod;
      check(pod, made, new Set([...each.named, ...(each.inject ? each.brought : [])]));
    });
    fc.assert(property, { numRuns: 300 });
  };

  it("tells components where their sockets belong, and the others where the sidecar is", () => {
    overAll((_, made, components) => {
      const all = containersOf(made).filter(({ name }) => name !== "daprd");
      for (const each of all) assert.equal(variable(each, VARIABLE) !== undefined, components.has(each.name));
      for (const each of all) if (components.has(each.name)) assert.equal(variable(each, "DAPR_HTTP_PORT"), undefined);
      for (const each of made.spec.containers)
        if (each.name !== "daprd")
          assert.equal(variable(each, "DAPR_HTTP_PORT") === undefined, components.has(each.name));
    });
  });

  it("never has the sidecar wait for a component that waits for the sidecar", () => {
    overAll((_, made, components) => {
      const list = made.spec.initContainers ?? [];
      const behind = [...list.slice(list.findIndex(({ name }) => name === "daprd") + 1), ...made.spec.containers];
      const waits = JSON.stringify(named(made, "daprd").startupProbe ?? "").includes("outbound");
      if (waits) assert.ok(!behind.some(({ name }) => components.has(name)));
    });
  });

  it("makes a patch that leads there, changes nothing the second time, and can be taken back", () => {
    overAll((pod, made) => {
      const patched: unknown = structuredClone(pod);
      assert.ok(applyPatch(patched, patchOf(pod, made)).every((result) => result === null));
      assert.deepEqual(patched, structuredClone(made));
      assert.deepEqual(patchOf(made, injected(made).pod), []);
      assert.deepEqual(uninject(made), { outcome: "removed", pod });
    });
  });

  it("patches one place of a long list, and nothing around it", () => {
    const many = Array.from({ length: 200 }, (_, nth) => ({ name: `c${nth}`, image: "x", restartPolicy: "Always" }));
    const pod = podOf({ [NAMES]: "c99" }, { initContainers: many });
    const added = patchOf(pod, injected(pod).pod).filter(({ path }) => /^\/spec\/initContainers\/\d+$/.test(path));
    assert.deepEqual(
      added.map(({ op, path }) => `${op} ${path}`),
      ["add /spec/initContainers/100"],
    );
  });
});
