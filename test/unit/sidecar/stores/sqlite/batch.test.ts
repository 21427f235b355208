import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { BatchRunner } from "#sidecar/stores/sqlite/batch.ts";
import { READ_BYTES_MAX } from "#sidecar/stores/sqlite/jobs.ts";
import type { Answer, Job, RowChange } from "#sidecar/stores/sqlite/messages.ts";
import { Fixture, threadSettings } from "./fixture.ts";

const NOW_MS = Date.UTC(2030, 0, 1);

describe("a batch", () => {
  let fixture: Fixture;
  let runner: BatchRunner;
  beforeEach(() => {
    fixture = new Fixture();
    runner = new BatchRunner(threadSettings(fixture.path));
    assert.equal(runner.open().kind, "opened");
  });
  afterEach(() => {
    runner.close();
    return fixture.close();
  });

  const run = (...jobs: Job[]): readonly Answer[] => runner.run(jobs, NOW_MS, []);

  it("frees the values that came to it, those of refused writes too", () => {
    const written = put("a", "1");
    const refused = put("b", "2", { ifEtag: "none" });
    const answers = run(apply(written), apply(refused));
    assert.deepEqual(codesOf(answers), ["done", "etag-mismatch"]);
    assert.deepEqual([written, refused].map(isFreed), [true, true]);
    assert.deepEqual(fixture.rows("SELECT key, value FROM state"), [{ key: "a", value: "1" }]);
  });

  it("frees the values that came to it when it fails as a whole", () => {
    for (const suffix of ["", "-wal", "-shm"]) rmSync(fixture.path + suffix);
    const lost = put("a", "1");
    assert.deepEqual(codesOf(run(apply(lost))), ["unavailable"]);
    assert.ok(isFreed(lost));
  });

  describe("that one of its jobs undoes", () => {
    const small = (key: string): Job => apply(put(key, "1"));
    const tooLarge = (): Job => apply(put("too large", "x".repeat(200_000)));
    const stored = (): unknown[] => fixture.rows("SELECT key FROM state ORDER BY key").map(({ key }) => key);

    beforeEach(() => limitPages(30));

    function limitPages(pages: number): void {
      runner.close();
      const settings = threadSettings(fixture.path);
      const location = { ...settings.location, pragmas: [`max_page_count=${pages}`] };
      runner = new BatchRunner({ ...settings, location });
      assert.equal(runner.open().kind, "opened");
    }

    it("fails only the write that does not fit", () => {
      const answers = run(small("a"), tooLarge(), small("b"), apply(put("a", "2", { ifEtag: "e" })));
      assert.deepEqual(codesOf(answers), ["done", "unavailable", "done", "done"]);
      assert.match(JSON.stringify(answers[1]), /no space left/);
      assert.deepEqual(stored(), ["a", "b"]);
    });

    it("frees the values all the same", () => {
      const values = [put("a", "1"), put("b", "x".repeat(200_000))];
      assert.deepEqual(codesOf(run(...values.map((value) => apply(value)))), ["done", "unavailable"]);
      assert.deepEqual(values.map(isFreed), [true, true]);
    });

    it("gives up with the first that finds the database locked", () => {
      const other = fixture.plain();
      // The batch ends before it comes to these two: they are looked at when it is their turn alone.
      const locking = whenLookedAt(small("b"), () => other.exec("BEGIN IMMEDIATE"));
      const last = whenLookedAt(small("c"), () => other.exec("COMMIT"));
      const answers = run(small("a"), tooLarge(), locking, last);
      assert.deepEqual(codesOf(answers), ["done", "unavailable", "unavailable", "unavailable"]);
      for (const answer of answers.slice(2)) assert.match(JSON.stringify(answer), /stayed locked/);
      assert.deepEqual(stored(), ["a"]);
    });
  });

  it("answers a bulk read up to so many bytes, and one row at least", () => {
    const large = "x".repeat(READ_BYTES_MAX);
    run(apply(put("large", large)), apply(put("small", "1")));
    assert.deepEqual(lengthsOf(run({ kind: "getMany", keys: ["large", "small"] })), [READ_BYTES_MAX]);
    assert.deepEqual(lengthsOf(run({ kind: "getMany", keys: ["small", "large", "small"] })), [1, READ_BYTES_MAX]);
  });

  it("leaves the outcome of a write open when the disk fails at the commit", async () => {
    const child = fileURLToPath(new URL("failing-commit-child.ts", import.meta.url));
    // A limit of 64 KiB for every file (blocks of 512 bytes) stands for the failing disk.
    const limited = spawn("sh", ["-c", 'ulimit -f 128; exec "$@"', "sh", process.execPath, child, fixture.path], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let said = "";
    limited.stdout.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    await once(limited, "close");
    const [small, large] = JSON.parse(said);
    assert.deepEqual(small, { result: null });
    assert.equal(large.failure.code, "unknown-outcome");
    assert.match(large.failure.message, /the disk failed under .*state\.db at the commit/);
  });
});

function apply(...changes: RowChange[]): Job {
  return { kind: "apply", changes };
}

function put(key: string, json: string, changes: Partial<RowChange> = {}): RowChange {
  const value = new Uint8Array(Buffer.from(json));
  return { key, value, isJson: true, ifEtag: null, ifAbsent: false, newEtag: "e", ttlSec: null, ...changes };
}

/** The job, with something that happens when its kind is read for the first time. */
function whenLookedAt(job: Job, happens: () => void): Job {
  let looked = false;
  const { kind } = job;
  return Object.defineProperty({ ...job }, "kind", {
    get: () => {
      if (!looked) happens();
      looked = true;
      return kind;
    },
  });
}

function isFreed(change: RowChange): boolean {
  return change.value?.buffer.detached === true;
}

function codesOf(answers: readonly Answer[]): string[] {
  return answers.map((answer) => ("failure" in answer ? answer.failure.code : "done"));
}

function lengthsOf([answer]: readonly Answer[]): number[] {
  assert.ok(answer !== undefined && "result" in answer && Array.isArray(answer.result));
  return answer.result.map((row) => row.bytes.byteLength);
}
