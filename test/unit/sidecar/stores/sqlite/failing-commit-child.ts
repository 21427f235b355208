// A process of its own for one test: writes a small value and one larger than its files may become, and tells both
// answers as JSON. The large one fails when the commit writes it to the write-ahead log.
import { BatchRunner } from "#sidecar/stores/sqlite/batch.ts";
import type { Job } from "#sidecar/stores/sqlite/messages.ts";
import { threadSettings } from "./fixture.ts";

const LARGE_BYTES = 256 * 1024;

const put = (key: string, bytes: number): Job => {
  const value = new Uint8Array(bytes).fill(0x31);
  return {
    kind: "apply",
    changes: [{ key, value, isJson: true, ifEtag: null, ifAbsent: false, newEtag: "e", ttlSec: null }],
  };
};

const runner = new BatchRunner(threadSettings(process.argv[2] ?? ""));
runner.open();
const answers = [put("small", 1), put("large", LARGE_BYTES)].flatMap((job) => runner.run([job], 0, []));
process.stdout.write(JSON.stringify(answers));
runner.close();
