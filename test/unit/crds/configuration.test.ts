import assert from "node:assert/strict";
import { load } from "js-yaml";
import { type Configuration, type ParsedConfiguration, parseConfiguration } from "#crds/configuration.ts";
import { describeFault } from "#kit/fault.ts";

function parse(spec: string): ParsedConfiguration {
  return parseConfiguration({
    apiVersion: "dapr.io/v1alpha1",
    kind: "Configuration",
    metadata: { name: "c" },
    spec: load(spec),
  });
}

function read(spec: string): Configuration {
  const { configuration, faults } = parse(spec);
  assert.ok(configuration !== null, faults.map(describeFault).join("\n"));
  assert.deepEqual(faults, []);
  return configuration;
}

/** What is told of a rule, given as name/version. */
function ruleFaults(rule: string): string[] {
  const [name = "", version = ""] = rule.split("/");
  const spec = JSON.stringify({ api: { denied: [{ name, version, protocol: "http" }] } });
  return parse(spec).faults.map((fault) => `${fault.severity} ${describeFault(fault)}`);
}

describe("a Configuration", () => {
  it("has Dapr's defaults where it says nothing", () => {
    assert.deepEqual(read("{}"), {
      api: { allowed: [], denied: [] },
      denied: [],
      metrics: {
        enabled: true,
        recordErrorCodes: false,
        latencyBoundsMs: null,
        http: { increasedCardinality: true, pathMatching: [], excludeVerbs: false },
      },
      tracing: null,
      features: new Map(),
      apiLogging: { enabled: null, omitHealthChecks: false },
      withoutEffect: [],
    });
  });

  it("is read with all its parts", () => {
    const all = read(`
api:
  allowed: [{name: state, version: v1, protocol: HTTP}]
  denied: [{name: shutdown, version: v1.0, protocol: grpc}]
components: {deny: [state.In-Memory, state.redis/v1]}
metrics:
  enabled: false
  recordErrorCodes: true
  latencyDistributionBuckets: [1, 10, 100]
  http: {increasedCardinality: false, pathMatching: [/v1.0/state/], excludeVerbs: true}
tracing:
  samplingRate: "0.5"
  stdout: true
  otel: {endpointAddress: "localhost:4317", isSecure: false, protocol: grpc, headers: "a=b, c=d%20e", timeout: 5s}
  zipkin: {endpointAddress: "http://localhost:9411/api/v2/spans"}
features: [{name: HotReload, enabled: false}, {name: ServerTiming, enabled: true}]
logging: {apiLogging: {enabled: true, obfuscateURLs: true, omitHealthChecks: true}}
`);
    assert.deepEqual(all.api.allowed, [{ name: "state", version: "v1", protocol: "http" }]);
    assert.deepEqual(all.api.denied, [{ name: "shutdown", version: "v1.0", protocol: "grpc" }]);
    assert.deepEqual(all.denied, [
      { type: "state.in-memory", version: null },
      { type: "state.redis", version: "v1" },
    ]);
    assert.deepEqual(all.metrics, {
      enabled: false,
      recordErrorCodes: true,
      latencyBoundsMs: [1, 10, 100],
      http: { increasedCardinality: false, pathMatching: ["/v1.0/state/"], excludeVerbs: true },
    });
    const headers = [
      { name: "a", value: "b" },
      { name: "c", value: "d e" },
    ];
    assert.deepEqual(all.tracing, {
      samplingRate: 0.5,
      stdout: true,
      otel: { endpointAddress: "localhost:4317", isSecure: false, protocol: "grpc", headers, timeoutMs: 5000 },
      zipkinEndpoint: "http://localhost:9411/api/v2/spans",
    });
    assert.deepEqual(
      [...all.features],
      [
        ["HotReload", false],
        ["ServerTiming", true],
      ],
    );
    assert.deepEqual(all.apiLogging, { enabled: true, omitHealthChecks: true });
  });

  it("has the rules for APIs in lower case", () => {
    const { api } = read("api: {denied: [{name: State, version: V1.0-Alpha1, protocol: HTTP}]}");
    assert.deepEqual(api.denied, [{ name: "state", version: "v1.0-alpha1", protocol: "http" }]);
  });

  it("knows every API of Pannier, and those of Dapr's that Pannier does not have", () => {
    const known = [
      ..."state/v1 state/v1.0 state/v1alpha1 State/v1.0-alpha1 actors/v1 metadata/v1.0 shutdown/v1 pannier/v1".split(
        " ",
      ),
      ..."invoke/v1 bindings/v1.0 publish/v1 secrets/v1 configuration/v1alpha1 Lock/v1.0-alpha1 unlock/v1".split(" "),
      ..."workflows/v1.0-beta1 conversation/v1.0-alpha2 jobs/v1.0-alpha1 crypto/v1 subtlecrypto/v1 healthz/v1".split(
        " ",
      ),
    ];
    for (const each of known) assert.deepEqual(ruleFaults(each), [], each);
  });

  const unknownApis: [string, string][] = [
    [
      "stat/v1",
      'name: got "stat", want the name of an API of Pannier or Dapr; the rule matches nothing; did you mean state?',
    ],
    [
      "nothing-like-it/v1",
      'name: got "nothing-like-it", want the name of an API of Pannier or Dapr; the rule matches nothing',
    ],
    [
      "state/v2",
      'version: got "v2", want v1, v1.0, v1alpha1 or v1.0-alpha1; the rule matches nothing; did you mean v1?',
    ],
    ["metadata/v1alpha1", 'version: got "v1alpha1", want v1 or v1.0; the rule matches nothing'],
    [
      "state/1.0",
      'version: got "1.0", want v1, v1.0, v1alpha1 or v1.0-alpha1; the rule matches nothing; did you mean v1.0?',
    ],
  ];
  for (const [rule, told] of unknownApis)
    it(`draws a warning for a rule for ${rule}, which there is none of`, () => {
      assert.deepEqual(ruleFaults(rule), [`warning spec.api.denied[0].${told}`]);
    });

  it("prefers metrics to metric, member by member", () => {
    const { metrics } = read("metric: {enabled: false, recordErrorCodes: true}\nmetrics: {enabled: true}");
    assert.deepEqual([metrics.enabled, metrics.recordErrorCodes], [true, true]);
  });

  it("takes headers as a list, and the rate as a number", () => {
    const { tracing } = read(
      "tracing: {samplingRate: 1, otel: {endpointAddress: x, protocol: http, headers: [{name: a, value: b}], timeout: 300}}",
    );
    assert.deepEqual(tracing?.otel?.headers, [{ name: "a", value: "b" }]);
    assert.deepEqual([tracing?.samplingRate, tracing?.otel?.timeoutMs, tracing?.otel?.isSecure], [1, 300, true]);
  });

  it("takes a rate as Go writes decimal numbers, and nothing that only JavaScript takes for one", () => {
    for (const [text, rate] of Object.entries({ "1.": 1, ".5": 0.5, "-0": 0, "+1e-3": 0.001, "": 1e-4 }))
      assert.ok(read(`tracing: {samplingRate: "${text}"}`).tracing?.samplingRate === rate, text);
    for (const text of [" 1", "1 ", " ", "0x1", "0b1", "-0.1", "1.01", "1e400", ".", "NaN"])
      assert.match(
        parse(`tracing: {samplingRate: "${text}"}`).faults.map(describeFault).join(),
        /want a number from 0/,
      );
  });

  it("passes over what the cluster writes down with it", () => {
    const document = { kind: "Configuration", spec: {}, status: { observedGeneration: 1 } };
    assert.deepEqual(parseConfiguration(document).faults, []);
  });

  it("names what means something to Dapr and nothing here, unless it is empty", () => {
    const { withoutEffect } = read(
      "mtls: {enabled: true}\nsecrets: {scopes: []}\nhttpPipeline: {handlers: [{name: a, type: b}]}\naccessControl: {}\nmetric: {rules: [{name: x}]}",
    );
    assert.deepEqual(withoutEffect, ["spec.metric.rules", "spec.httpPipeline", "spec.mtls", "spec.secrets"]);
  });

  it("tells every fault at once, and no header's value", () => {
    const faults = parse(`
api: {allowed: [{name: state, version: v1, protocol: tcp}, {name: state}]}
components: {deny: [a/b/c]}
metrics: {latencyDistributionBuckets: [5, 5], http: {pathMatching: [orders]}, enabled: "yes"}
tracing: {samplingRate: 2, otel: {endpointAddress: x, protocol: udp, headers: [{name: a, secretKeyRef: {name: s, key: k}}, {name: b, value: [hidden]}]}}
feature: []
`).faults.map((fault) => `${fault.severity} ${describeFault(fault)}`);
    assert.deepEqual(faults, [
      "warning spec.feature: want a member that a Configuration has; it has no effect; did you mean features?",
      'error spec.metrics.enabled: got "yes", want true or false, without quotes, not text',
      'error spec.metrics.latencyDistributionBuckets: got "5, 5", want buckets that ascend',
      'error spec.metrics.http.pathMatching[0]: got "orders", want a path, as "/v1.0/state/{store}/{key}"',
      'error spec.api.allowed[0].protocol: got "tcp", want "http" or "grpc"',
      'error spec.api.allowed[1].protocol: want "http" or "grpc"',
      'error spec.api.allowed[1].version: want a version, as "v1"',
      'error spec.components.deny[0]: got "a/b/c", want a list of Component types, as "state.redis" or "state.redis/v1"',
      'error spec.tracing.samplingRate: got "2", want a number from 0 to 1, as "0.1"',
      'error spec.tracing.otel.protocol: got "udp", want "grpc" or "http"',
      "error spec.tracing.otel.headers[0].secretKeyRef: want the header's value; write a variable into value to take it from the environment",
      "error spec.tracing.otel.headers[1].value: want the header's value, not a list",
    ]);
  });
});
