// The file source on a clock that stands still between two looks: when a change counts, to the look.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { mkdtemp, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import type { Clock } from "#kit/clock.ts";
import { FileSource } from "#sidecar/components/file-source.ts";
import type { SourceFile } from "#sidecar/components/source.ts";
import { Bench, inMemoryManifest } from "./bench.ts";

/** How long a file that is missed at every look is kept at most, and a look more. */
const GONE_FOR_LONG_MS = 2000;

/** A look that is not over after so many turns of the event loop never will be. */
const TURNS_MAX = 1_000_000;

/** Moves only when it is told to, from one look to the next. */
class LookClock implements Clock {
  now = 0;
  /** Called each time when the time is asked for. */
  onAsked: () => void = () => undefined;
  #next: { readonly delayMs: number; readonly task: () => void } | null = null;

  nowMs(): number {
    return this.now;
  }

  monotonicMs(): number {
    this.onAsked();
    return this.now;
  }

  after(delayMs: number, task: () => void): { cancel: () => void } {
    this.#next = { delayMs, task };
    return { cancel: () => undefined };
  }

  /** Lets the next look happen, to its end; gives the time that it was away. */
  async look(): Promise<number> {
    const next = this.#next;
    assert.ok(next, "no look is planned");
    this.#next = null;
    this.now += next.delayMs;
    next.task();
    for (let turns = 0; this.#next === null; turns++) {
      assert.ok(turns < TURNS_MAX, "the look does not end");
      await turn();
    }
    return next.delayMs;
  }
}

describe("a file source", () => {
  let folder: string;
  let clock: LookClock;
  let source: FileSource;
  let told: (readonly SourceFile[])[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "pannier-source-"));
    clock = new LookClock();
    told = [];
    const onChange = (files: readonly SourceFile[]): void => void told.push(files);
    const log = new Bench().log();
    const concerns = (): boolean => true;
    const isFollowing = (): boolean => true;
    source = new FileSource({ folders: [folder], reconcileMs: 3_600_000, isFollowing, clock, log, concerns, onChange });
  });
  afterEach(async () => {
    await source.close();
    await rm(folder, { recursive: true });
  });

  const path = (name: string): string => join(folder, name);
  const names = (): string[][] =>
    told.map((files) => files.flatMap(({ components }) => components.map(({ identity }) => identity.name ?? "")));

  async function startWith(files: Readonly<Record<string, string>>): Promise<void> {
    for (const [name, content] of Object.entries(files)) await writeFile(path(name), content);
    await source.start();
    source.follow();
    await clock.look();
  }

  it("tells a change once, when the file has been at rest", async () => {
    await startWith({ "a.yaml": inMemoryManifest("one") });
    await writeFile(path("a.yaml"), inMemoryManifest("second"));
    await clock.look();
    assert.deepEqual(names(), []);
    for (let looks = 0; looks < 5; looks++) await clock.look();
    assert.deepEqual(names(), [["second"]]);
  });

  it("does not tell what it read while the file was changed again", async () => {
    await startWith({ "a.yaml": inMemoryManifest("one") });
    await writeFile(path("a.yaml"), inMemoryManifest("second"));
    await clock.look();
    // From here on the file is changed between the look at its size and time and the reading.
    let asked = 0;
    let changed = false;
    clock.onAsked = () => {
      if (++asked % 2 === 1 || changed || clock.now < 500 + 500 + 250) return;
      changed = true;
      writeFileSync(path("a.yaml"), inMemoryManifest("half-written"));
    };
    while (!changed) {
      asked = 0;
      await clock.look();
    }
    assert.deepEqual(names(), []);
    for (let looks = 0; looks < 5; looks++) await clock.look();
    assert.deepEqual(names(), [["half-written"]]);
  });

  it("drops a file that stays away although its folder never comes to rest", async () => {
    await startWith({ "a.yaml": inMemoryManifest("one"), "b.yaml": inMemoryManifest("two") });
    await unlink(path("a.yaml"));
    const goneAtMs = clock.now;
    for (let n = 0; told.length === 0 && clock.now < goneAtMs + GONE_FOR_LONG_MS; n++) {
      await writeFile(path(`.unrelated-${n}`), "");
      await clock.look();
    }
    assert.deepEqual(names(), [["two"]]);
    assert.ok(clock.now - goneAtMs > 1000, `gone after ${clock.now - goneAtMs} ms`);
  });

  it("drops a file that stays away although another one is written to all the time", async () => {
    await startWith({ "a.yaml": inMemoryManifest("one"), "b.yaml": inMemoryManifest("two") });
    await unlink(path("a.yaml"));
    const goneAtMs = clock.now;
    for (let n = 1; told.length === 0 && clock.now < goneAtMs + GONE_FOR_LONG_MS; n++) {
      await writeFile(path("b.yaml"), `${inMemoryManifest("two")}${"#".repeat(n)}`);
      await clock.look();
    }
    assert.deepEqual(names(), [["two"]]);
    assert.ok(clock.now - goneAtMs > 1000, `gone after ${clock.now - goneAtMs} ms`);
  });

  it("comes to rest after a change of a followed file that lies in its folder", async () => {
    await startWith({ "a.yaml": inMemoryManifest("one"), "secrets.json": '{"a": "1"}' });
    await source.alsoFollow([path("secrets.json")]);
    const idleMs = await clock.look();
    await writeFile(path("secrets.json"), '{"a": "22"}');
    for (let looks = 0; looks < 8; looks++) await clock.look();
    assert.notEqual(told.length, 0);
    assert.equal(await clock.look(), idleMs);
    const before = told.length;
    for (let looks = 0; looks < 8; looks++) await clock.look();
    assert.equal(told.length, before);
  });
});
