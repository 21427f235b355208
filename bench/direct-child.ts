// What the sidecar is compared with: an application that calls ioredis itself. Talks to its parent over IPC.
import { performance } from "node:perf_hooks";
import { Redis } from "ioredis";
import { summed } from "./measured.ts";

export type Operation = "get" | "set" | "transaction of 4" | "bulk get of 20";

export interface DirectOrder {
  readonly operation: Operation;
  readonly lanes: number;
  readonly durationMs: number;
  readonly value: string;
}

const redis = new Redis({ host: "127.0.0.1", port: Number(process.argv[2]), enableAutoPipelining: true });

process.on("message", (order: DirectOrder) => {
  void run(order).then((result) => process.send?.(result));
});
process.on("disconnect", () => process.exit());
process.send?.("ready");

function operations(value: Buffer): Readonly<Record<Operation, () => Promise<unknown>>> {
  const many = Array.from({ length: 20 }, (_, index) => `direct-${index}`);
  const four = many.slice(0, 4);
  return {
    get: () => redis.getBuffer("direct-0"),
    set: () => redis.set("direct-0", value),
    "transaction of 4": () => four.reduce((multi, key) => multi.set(key, value), redis.multi()).exec(),
    "bulk get of 20": () => redis.mgetBuffer(many),
  };
}

async function run(order: DirectOrder): Promise<object> {
  const value = Buffer.from(order.value);
  for (let index = 0; index < 20; index++) await redis.set(`direct-${index}`, value);
  const operation = operations(value)[order.operation];
  const latenciesUs: number[] = [];
  const start = performance.now();
  const end = start + order.durationMs;
  const lane = async (): Promise<void> => {
    for (let now = performance.now(); now < end; ) {
      await operation();
      const done = performance.now();
      latenciesUs.push((done - now) * 1000);
      now = done;
    }
  };
  await Promise.all(Array.from({ length: order.lanes }, lane));
  return summed(latenciesUs, (performance.now() - start) / 1000);
}
