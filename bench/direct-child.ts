// What the sidecar is compared with: an application that calls ioredis itself. Talks to its parent over IPC.
import { performance } from "node:perf_hooks";
import { Redis } from "ioredis";

export interface DirectOrder {
  readonly operation: "get" | "set";
  readonly lanes: number;
  readonly durationMs: number;
  readonly key: string;
  readonly value: string;
}

const redis = new Redis({ host: "127.0.0.1", port: Number(process.argv[2]), enableAutoPipelining: true });

process.on("message", (order: DirectOrder) => {
  void run(order).then((result) => process.send?.(result));
});
process.on("disconnect", () => process.exit());
process.send?.("ready");

async function run(order: DirectOrder): Promise<object> {
  const latenciesUs: number[] = [];
  const start = performance.now();
  const end = start + order.durationMs;
  const value = Buffer.from(order.value);
  const lane = async (): Promise<void> => {
    for (let now = performance.now(); now < end; ) {
      if (order.operation === "get") await redis.getBuffer(order.key);
      else await redis.set(order.key, value);
      const done = performance.now();
      latenciesUs.push((done - now) * 1000);
      now = done;
    }
  };
  await Promise.all(Array.from({ length: order.lanes }, lane));
  latenciesUs.sort((left, right) => left - right);
  const seconds = (performance.now() - start) / 1000;
  return { requests: latenciesUs.length, seconds, medianUs: latenciesUs[latenciesUs.length >> 1] ?? 0 };
}
