// A log that nobody reads.
import { createLog, type Log } from "#kit/log.ts";

export const silentLog: Log = createLog({
  level: "fatal",
  json: true,
  appId: "pannier-operator",
  instance: "pod",
  version: "0",
  write: () => undefined,
  nowMs: () => 0,
});
