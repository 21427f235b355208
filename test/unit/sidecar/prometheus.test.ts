// The exact series that known traffic leaves (dapr-state-api.md 9).
import assert from "node:assert/strict";
import { PrometheusMetrics } from "#sidecar/prometheus.ts";

const http = {
  method: "GET",
  path: "/v1.0/state/s",
  status: 200,
  latencyMs: 2.7,
  requestBytes: 0,
  responseBytes: 1500,
};

async function lines(metrics: PrometheusMetrics, name: string): Promise<string[]> {
  return (await metrics.text()).split("\n").filter((line) => line.startsWith(name));
}

describe("Prometheus metrics", () => {
  it("count state operations by store, operation and outcome, in fractional milliseconds", async () => {
    const metrics = new PrometheusMetrics({ appId: "app", namespace: "ns" });
    metrics.state("s", "get", true, 0.4);
    metrics.state("s", "get", true, 7);
    metrics.state("s", "get", false, 200_000);
    const labels = 'app_id="app",component="s",namespace="ns",operation="get"';
    assert.deepEqual(await lines(metrics, "dapr_component_state_count"), [
      `dapr_component_state_count{${labels},success="true"} 2`,
      `dapr_component_state_count{${labels},success="false"} 1`,
    ]);
    const latencies = await lines(metrics, "dapr_component_state_latencies");
    const bucket = (success: boolean, le: string): string =>
      latencies.find((line) => line.includes(`success="${success}"`) && line.includes(`le="${le}"`))?.split(" ")[1] ??
      "";
    assert.deepEqual(
      ["1", "6", "8", "+Inf"].map((le) => bucket(true, le)),
      ["1", "1", "2", "2"],
    );
    assert.deepEqual(
      ["100000", "+Inf"].map((le) => bucket(false, le)),
      ["0", "1"],
    );
    assert.ok(latencies.includes(`dapr_component_state_latencies_sum{${labels},success="true"} 7.4`));
    assert.ok(latencies.includes(`dapr_component_state_latencies_count{${labels},success="true"} 2`));
  });

  it("count HTTP requests by method, path and status, in whole milliseconds", async () => {
    const metrics = new PrometheusMetrics({ appId: "app", namespace: "" });
    metrics.http(http);
    metrics.http({ ...http, status: 204 });
    const series = 'app_id="app",method="GET",path="/v1.0/state/s"';
    assert.deepEqual(await lines(metrics, "dapr_http_server_request_count"), [
      `dapr_http_server_request_count{${series},status="200"} 1`,
      `dapr_http_server_request_count{${series},status="204"} 1`,
    ]);
    assert.ok(
      (await lines(metrics, "dapr_http_server_latency_sum")).includes(
        `dapr_http_server_latency_sum{${series},status="200"} 2`,
      ),
    );
    assert.deepEqual(await lines(metrics, "dapr_http_server_response_bytes_sum"), [
      'dapr_http_server_response_bytes_sum{app_id="app"} 3000',
    ]);
  });

  it("put all unknown methods under one label", async () => {
    const metrics = new PrometheusMetrics({ appId: "app", namespace: "" });
    for (const method of ["FOO", "BAR", "FOO"]) metrics.http({ ...http, method, status: 404 });
    assert.deepEqual(await lines(metrics, "dapr_http_server_request_count"), [
      'dapr_http_server_request_count{app_id="app",method="UNKNOWN",path="/v1.0/state/s",status="404"} 3',
    ]);
  });

  it("escape label values", async () => {
    const metrics = new PrometheusMetrics({ appId: 'a"p\\p', namespace: "" });
    metrics.state("s\n", "set", true, 1);
    assert.match((await lines(metrics, "dapr_component_state_count"))[0] ?? "", /app_id="a\\"p\\\\p",component="s\\n"/);
  });

  it("tell what became of Components, and forget the gauge of one that is gone", async () => {
    const metrics = new PrometheusMetrics({ appId: "app", namespace: "" });
    metrics.componentLoaded();
    metrics.componentInit("state.redis");
    metrics.componentInitFail("state.redis", "init", "s");
    metrics.componentReload("s", false);
    metrics.storeUp("s", true);
    const text = await metrics.text();
    for (const line of [
      'dapr_runtime_component_loaded{app_id="app"} 1',
      'dapr_runtime_component_init_total{app_id="app",component="state.redis"} 1',
      'dapr_runtime_component_init_fail_total{app_id="app",component="state.redis",reason="init",componentName="s"} 1',
      'pannier_component_reload_total{app_id="app",component="s",success="false"} 1',
      'pannier_store_up{app_id="app",component="s"} 1',
    ]) {
      assert.ok(text.split("\n").includes(line), line);
    }
    metrics.storeGone("s");
    assert.ok(!(await metrics.text()).includes("pannier_store_up{"));
  });
});
