// The entry of a database thread: takes batches, answers them, closes. Knows nothing of queues, callers and time limits.
import { parentPort, workerData } from "node:worker_threads";
import { assert, unreachable } from "#kit/assert.ts";
import { BatchRunner } from "./batch.ts";
import type { Order, Report, ThreadSettings } from "./messages.ts";

assert(parentPort !== null, "worker.ts runs as a worker thread only");
const port = parentPort;
const runner = new BatchRunner(workerData as ThreadSettings);

const report = (message: Report, transfer: ArrayBuffer[] = []): void => port.postMessage(message, transfer);

report(runner.open());
port.on("message", (order: Order) => {
  switch (order.kind) {
    case "batch": {
      const outgoing: ArrayBuffer[] = [];
      const answers = runner.run(order.jobs, order.nowMs, outgoing);
      report({ kind: "answers", answers }, outgoing);
      return;
    }
    case "close":
      runner.close();
      port.close();
      return;
    default:
      unreachable(order);
  }
});
