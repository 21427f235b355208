// The rows of docs/differences.md on what becomes of a pod.
import assert from "node:assert/strict";
import { type Decision, decide } from "#operator/inject/decide.ts";
import type { Container, PodSpec } from "#operator/inject/object.ts";
import { defaultSettings } from "#operator/inject/settings.ts";

const SETTINGS = defaultSettings("pannier-system");

function judge(annotations: Record<string, string> = {}, spec: Partial<PodSpec> = {}): Decision {
  const metadata = { name: "orders", annotations: { "dapr.io/enabled": "true", ...annotations } };
  return decide({ metadata, spec: { containers: [{ name: "app" }], ...spec } }, "shop", SETTINGS);
}

function injected(decision: Decision): Decision & { readonly outcome: "inject" } {
  assert.ok(decision.outcome === "inject", decision.sentence);
  return decision;
}

function sidecarOf(decision: Decision): Container {
  const { spec } = injected(decision).pod;
  const sidecar = [...(spec.initContainers ?? []), ...spec.containers].find(({ name }) => name === "daprd");
  assert.ok(sidecar !== undefined);
  return sidecar;
}

describe("differences of injection", () => {
  it("K10: the sidecar comes first and what follows waits until it serves", () => {
    const { initContainers } = injected(judge({}, { initContainers: [{ name: "migrate" }] })).pod.spec;
    const [first, second] = initContainers ?? [];
    assert.deepEqual([first?.name, first?.restartPolicy, second?.name], ["daprd", "Always", "migrate"]);
    assert.match(JSON.stringify(first?.startupProbe), /"\/v1\.0\/healthz\/outbound"/);
  });

  it("K11: init containers are told of the sidecar, and variables may refer to its ports", () => {
    const own = { name: "URL", value: "http://localhost:$(DAPR_HTTP_PORT)" };
    const { spec } = injected(judge({}, { initContainers: [{ name: "migrate", env: [own] }] })).pod;
    const names = (container: Container | undefined) => container?.env?.map(({ name }) => name);
    assert.deepEqual(names(spec.initContainers?.[1]), ["DAPR_HTTP_PORT", "DAPR_GRPC_PORT", "APP_PROTOCOL", "URL"]);
    assert.deepEqual(names(spec.containers[0]), ["DAPR_HTTP_PORT", "DAPR_GRPC_PORT", "APP_PROTOCOL"]);
  });

  it("K12: the sidecar passes the pod security level restricted", () => {
    assert.deepEqual(sidecarOf(judge()).securityContext, {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      runAsUser: 65_532,
      runAsGroup: 65_532,
      seccompProfile: { type: "RuntimeDefault" },
    });
  });

  it("K13: the sidecar has requests and a limit on memory, and a wrong amount is told", () => {
    const requests = { cpu: "50m", memory: "96Mi" };
    assert.deepEqual(sidecarOf(judge()).resources, { limits: { memory: "512Mi" }, requests });
    const one = sidecarOf(judge({ "dapr.io/sidecar-cpu-request": "1" }));
    assert.deepEqual(one.resources, { limits: { memory: "512Mi" }, requests: { ...requests, cpu: "1" } });
    assert.match(judge({ "dapr.io/sidecar-cpu-request": "1 core" }).sentence, /got "1 core", want an amount/);
  });

  it("K14: a value that is none is refused", () => {
    for (const [name, value] of [
      ["app-port", "80a"],
      ["log-as-json", "maybe"],
      ["sidecar-readiness-probe-threshold", "0"],
    ]) {
      const decision = judge({ [`dapr.io/${name}`]: value ?? "" });
      assert.equal(decision.outcome, "deny");
      assert.match(decision.sentence, new RegExp(`dapr\\.io/${name}: got "${value}", want `));
    }
  });

  it("K15: a name that there is not draws a warning", () => {
    const { notes } = injected(judge({ "dapr.io/app-prt": "80", "dapr.io/enable-profiling": "true" }));
    assert.match(notes.join("\n"), /dapr\.io\/app-prt: .*did you mean dapr\.io\/app-port\?/);
    assert.match(notes.join("\n"), /dapr\.io\/enable-profiling: .*no effect/);
  });

  it("K16: a container that another webhook adds afterwards is told of the sidecar", () => {
    const { pod } = injected(judge());
    const later = { ...pod, spec: { ...pod.spec, containers: [...pod.spec.containers, { name: "added" }] } };
    const again = injected(decide(later, "shop", SETTINGS));
    assert.deepEqual(again.pod.spec.containers[1]?.env?.[0], { name: "DAPR_HTTP_PORT", value: "3500" });
    assert.deepEqual(again.pod.spec.initContainers, pod.spec.initContainers);
  });

  it("K17: all ports can be moved, and a clash is refused", () => {
    const host = { hostNetwork: true, dnsPolicy: "ClusterFirstWithHostNet" };
    const moved = { "pannier.io/http-port": "3510", "pannier.io/public-port": "3511" };
    const sidecar = sidecarOf(judge(moved, host));
    assert.deepEqual(
      sidecar.ports?.map(({ containerPort }) => containerPort),
      [3510, 50_001, 9090, 3511],
    );
    const clash = judge({}, { ...host, containers: [{ name: "app", ports: [{ containerPort: 50_001 }] }] });
    assert.match(clash.sentence, /50001 is dapr-grpc's and that of container app; move one with dapr\.io\/grpc-port/);
    assert.equal(judge({ "dapr.io/app-port": "3501" }).outcome, "deny");
    // The sidecar refuses to start so, even when it serves on sockets and no port.
    const sockets = judge({ "dapr.io/app-port": "3500", "dapr.io/unix-domain-socket-path": "/sockets" });
    assert.match(sockets.sentence, /3500 is dapr-http's and that of the app/);
  });

  it("K18: no variable of the sidecar weakens its security", () => {
    const plain = sidecarOf(judge()).securityContext;
    assert.deepEqual(sidecarOf(judge({ "dapr.io/env": "SSL_CERT_DIR=/certs" })).securityContext, plain);
  });

  it("K19: what Pannier lacks has neither port nor argument", () => {
    const { ports, args } = sidecarOf(judge());
    assert.deepEqual(
      ports?.map(({ name }) => name),
      ["dapr-http", "dapr-grpc", "dapr-metrics"],
    );
    for (const flag of ["--dapr-internal-grpc-port", "--sentry-address", "--placement-host-address", "--enable-mtls"])
      assert.ok(!args?.includes(flag));
  });
});
