// The parse of a Component: every rule of its schema, all faults at once.
import assert from "node:assert/strict";
import { documentKind, parseComponent } from "#crds/component.ts";
import { describeFault } from "#kit/fault.ts";

function manifest(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    apiVersion: "dapr.io/v1alpha1",
    kind: "Component",
    metadata: { name: "orders" },
    spec: { type: "state.redis", version: "v1" },
    ...changes,
  };
}

function spec(changes: Record<string, unknown>): Record<string, unknown> {
  return manifest({ spec: { type: "state.redis", ...changes } });
}

function faultsOf(document: unknown): string[] {
  return parseComponent(document).faults.map((fault) => `${fault.severity} ${fault.field}`);
}

describe("a Component", () => {
  it("has defaults for all that is optional", () => {
    const { component, faults } = parseComponent(manifest());
    assert.deepEqual(faults, []);
    assert.deepEqual(component, {
      name: "orders",
      namespace: null,
      type: "state.redis",
      version: "v1",
      ignoreErrors: false,
      initTimeoutMs: 5000,
      metadata: [],
      secretStore: null,
      scopes: [],
    });
  });

  it("takes values as text: numbers, booleans, null and whole objects", () => {
    const entries = [true, 1.1, 9007199254740993n, null, { b: 1, a: ["<"] }, "text", 1e21].map((value, index) => ({
      name: `f${index}`,
      value,
    }));
    const { component, faults } = parseComponent(spec({ metadata: entries }));
    assert.deepEqual(faults, []);
    assert.deepEqual(
      component?.metadata.map(({ source }) => (source.kind === "value" ? source.text : source)),
      ["true", "1.1", "9007199254740993", "", '{"a":["\\u003c"],"b":1}', "text", "1e+21"],
    );
  });

  it("takes references to secrets and variables; a key left out is the secret's name", () => {
    const metadata = [
      { name: "a", secretKeyRef: { name: "s", key: "k" } },
      { name: "b", secretKeyRef: { name: "s" } },
      { name: "c", envRef: "V" },
      { name: "d" },
    ];
    assert.deepEqual(
      parseComponent(spec({ metadata })).component?.metadata.map(({ source }) => source),
      [
        { kind: "secret", name: "s", key: "k" },
        { kind: "secret", name: "s", key: "s" },
        { kind: "env", variable: "V" },
        { kind: "value", text: "" },
      ],
    );
  });

  it("uses the secret before the value and the value before the variable, with a warning", () => {
    const metadata = [
      { name: "a", value: "v", secretKeyRef: { name: "s" } },
      { name: "b", value: "v", envRef: "V" },
    ];
    const { component, faults } = parseComponent(spec({ metadata }));
    assert.deepEqual(
      component?.metadata.map(({ source }) => source.kind),
      ["secret", "value"],
    );
    assert.deepEqual(
      faults.map(({ severity, field }) => [severity, field]),
      [
        ["warning", "spec.metadata[0]"],
        ["warning", "spec.metadata[1]"],
      ],
    );
  });

  it("turns scalars into text where text is wanted and ignores the case of member names, as Dapr's loader does", () => {
    const { component, faults } = parseComponent(
      manifest({ metadata: { Name: 123 }, spec: { type: "state.x", version: 2 } }),
    );
    assert.equal(component?.name, "123");
    assert.equal(component?.version, "2");
    assert.deepEqual(
      faults.map(({ severity, field, want }) => [severity, field, want]),
      [["warning", "metadata.Name", "the spelling name"]],
    );
  });

  const BAD_NAMES = ["", ".", "..", "a/b", "50%"];
  for (const name of BAD_NAMES) {
    it(`refuses the name ${JSON.stringify(name)}`, () => {
      assert.deepEqual(faultsOf(manifest({ metadata: { name } })), ["error metadata.name"]);
    });
  }

  for (const name of ["with blank", "größe", 'quo"te', "a.b"]) {
    it(`accepts the name ${JSON.stringify(name)}`, () => {
      assert.deepEqual(faultsOf(manifest({ metadata: { name } })), []);
    });
  }

  it("tells all faults at once, each with its path", () => {
    const document = {
      metadata: { name: ["x"] },
      spec: {
        version: {},
        ignoreErrors: "yes",
        metadata: [{ value: "v" }, "x", { name: "n", secretKeyRef: { key: "k" } }],
      },
      scopes: "app",
      auth: [],
    };
    assert.deepEqual(faultsOf(document).sort(), [
      "error auth",
      "error metadata.name",
      "error scopes",
      "error spec.ignoreErrors",
      "error spec.metadata[0].name",
      "error spec.metadata[1]",
      "error spec.metadata[1].name",
      "error spec.metadata[2].secretKeyRef.name",
      "error spec.type",
      "error spec.version",
    ]);
    assert.equal(parseComponent(document).component, null);
  });

  it("gives what could be read in spite of faults, to find more of them, with what is broken as unknown", () => {
    const metadata = [
      { name: "a", value: "v" },
      { value: "nameless" },
      { name: "b", secretKeyRef: { key: "k" } },
      { name: "c", value: { d: 1 }, envRef: ["V"] },
    ];
    const { component, draft } = parseComponent(manifest({ metadata: {}, spec: { type: "state.redis", metadata } }));
    assert.equal(component, null);
    assert.equal(draft.type, "state.redis");
    assert.deepEqual(
      draft.metadata.map(({ name, source }) => `${name} ${source.kind}`),
      ["a value", "b env", "c env"],
    );
  });

  it("warns about unknown members and names the nearest known one", () => {
    const { component, faults } = parseComponent(spec({ initTimeOuts: "1s", scopes: ["a"] }));
    assert.notEqual(component, null);
    assert.deepEqual(
      faults.map(({ severity, field }) => [severity, field]),
      [
        ["warning", "spec.initTimeOuts"],
        ["warning", "spec.scopes"],
      ],
    );
    assert.match(faults[0]?.hint ?? "", /did you mean initTimeout/);
    assert.match(faults[1]?.hint ?? "", /top of the document/);
  });

  it("falls back to 5 s with a warning when initTimeout is no duration, as Dapr does without one", () => {
    for (const initTimeout of ["soon", "-1s", 30]) {
      const { component, faults } = parseComponent(spec({ initTimeout }));
      assert.equal(component?.initTimeoutMs, 5000);
      assert.deepEqual(
        faults.map(({ severity }) => severity),
        ["warning"],
      );
    }
    assert.equal(parseComponent(spec({ initTimeout: "1m30s" })).component?.initTimeoutMs, 90_000);
  });

  it("waits a day at most for the opening, with a warning", () => {
    const { component, faults } = parseComponent(spec({ initTimeout: "100000h" }));
    assert.equal(component?.initTimeoutMs, 86_400_000);
    assert.deepEqual(faults.map(describeFault), [
      'spec.initTimeout: got "100000h", want a duration such as "30s", of at most 24h; 24h is used instead',
    ]);
    assert.deepEqual(faultsOf(spec({ initTimeout: "24h" })), []);
  });
});

describe("faults of a Component", () => {
  const told = (document: unknown): string[] => parseComponent(document).faults.map(describeFault);

  it("show what was written where another type is wanted", () => {
    assert.deepEqual(told(manifest({ spec: { type: "state.x", ignoreErrors: "yes" }, scopes: "orders" })), [
      'spec.ignoreErrors: got "yes", want true or false, without quotes, not text',
      'scopes: got "orders", want a list of app ids, not text',
    ]);
    assert.deepEqual(told(manifest({ metadata: { name: ["x"] }, scopes: 7 })), [
      'metadata.name: want a name: text without "/" and "%", and neither "." nor "..", not a list',
      'scopes: got "7", want a list of app ids, not a number',
    ]);
  });

  it("show nothing where a secret may stand", () => {
    for (const metadata of [
      "hunter2",
      ["hunter2"],
      [{ name: "a", secretKeyRef: "hunter2" }],
      [{ name: ["hunter2"] }],
    ]) {
      const faults = told(spec({ metadata })).concat(told(manifest({ Spec: { type: "state.x", METADATA: metadata } })));
      assert.match(faults.join(), /not (text|a list)/);
      assert.doesNotMatch(faults.join(), /hunter2/);
    }
    assert.doesNotMatch(told(manifest({ spec: "password: hunter2" })).join(), /hunter2/);
  });
});

describe("the kind of a document", () => {
  const kindOf = (apiVersion: unknown, kind: unknown): string => {
    const found = documentKind({ apiVersion, kind });
    return found.kind === "mistake" ? `${found.fault.severity} ${found.fault.field}` : found.kind;
  };

  it("is a Component, something passed over, or a mistake", () => {
    assert.equal(kindOf("dapr.io/v1alpha1", "Component"), "component");
    assert.equal(kindOf("dapr.io/v1alpha1", "Resiliency"), "resiliency");
    assert.equal(kindOf("dapr.io/v1alpha1", "Configuration"), "other");
    assert.equal(kindOf("dapr.io/v1", "Resiliency"), "error apiVersion");
    assert.equal(kindOf("dapr.io/v2alpha1", "Subscription"), "other");
    assert.equal(kindOf("apps/v1", "Deployment"), "other");
    assert.equal(kindOf("dapr.io/v1", "Component"), "error apiVersion");
    assert.equal(kindOf("dapr.io/v1alpha1", "component"), "error kind");
    assert.equal(kindOf(undefined, undefined), "warning ");
    assert.equal(kindOf(undefined, "Component"), "error apiVersion");
    assert.equal(documentKind("text").kind, "mistake");
  });

  it("suggests the nearest kind, also where there is no apiVersion", () => {
    for (const apiVersion of ["dapr.io/v1alpha1", undefined]) {
      for (const [kind, near] of [
        ["Componnt", "Component"],
        ["component", "Component"],
        ["Resilency", "Resiliency"],
      ] as const) {
        const found = documentKind({ apiVersion, kind });
        assert.ok(found.kind === "mistake");
        assert.match(describeFault(found.fault), new RegExp(`want ${near}$|did you mean kind: ${near}\\?$`));
      }
    }
    const found = documentKind({ kind: "somethingElse" });
    assert.ok(found.kind === "mistake");
    assert.doesNotMatch(describeFault(found.fault), /did you mean/);
  });
});
