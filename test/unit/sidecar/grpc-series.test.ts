// The exact series that known calls leave (dapr-state-api.md 9).
import assert from "node:assert/strict";
import { GrpcMetrics } from "#sidecar/grpc-series.ts";

describe("gRPC metrics", () => {
  it("count calls by method and status, in whole milliseconds, and bytes by method", () => {
    const metrics = new GrpcMetrics({ appId: "app", latencyBounds: [1, 2, 3], sizeBounds: [10, 100] });
    const sample = { method: "/a.B/C", status: "OK", latencyMs: 2.7, receivedBytes: 11, sentBytes: 5 };
    metrics.add(sample);
    metrics.add({ ...sample, latencyMs: 0.4 });
    metrics.add({ ...sample, status: "Aborted", sentBytes: 0 });
    const lines = metrics.text().split("\n");
    const latency = 'app_id="app",grpc_server_method="/a.B/C",grpc_server_status="OK"';
    for (const line of [
      `dapr_grpc_io_server_completed_rpcs{${latency}} 2`,
      `dapr_grpc_io_server_server_latency_bucket{${latency},le="1"} 1`,
      `dapr_grpc_io_server_server_latency_bucket{${latency},le="2"} 2`,
      `dapr_grpc_io_server_server_latency_sum{${latency}} 2`,
      'dapr_grpc_io_server_completed_rpcs{app_id="app",grpc_server_method="/a.B/C",grpc_server_status="Aborted"} 1',
      'dapr_grpc_io_server_received_bytes_per_rpc_bucket{app_id="app",grpc_server_method="/a.B/C",le="10"} 0',
      'dapr_grpc_io_server_received_bytes_per_rpc_count{app_id="app",grpc_server_method="/a.B/C"} 3',
      'dapr_grpc_io_server_sent_bytes_per_rpc_sum{app_id="app",grpc_server_method="/a.B/C"} 10',
    ]) {
      assert.ok(lines.includes(line), line);
    }
  });
});
