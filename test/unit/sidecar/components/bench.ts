// A workbench for the component host: a folder of manifests, a driver whose stores do as they are told, a fast clock.
import assert from "node:assert/strict";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type FieldTable, text } from "#crds/fields.ts";
import { type Clock, systemClock } from "#kit/clock.ts";
import type { Fault } from "#kit/fault.ts";
import { createLog, type Log } from "#kit/log.ts";
import { systemRandom } from "#kit/random.ts";
import { type ComponentHost, type ComponentsOptions, startComponents } from "#sidecar/components/host.ts";
import { type Metrics, noMetrics } from "#sidecar/metrics.ts";
import type { StoreEntry } from "#sidecar/state/table.ts";
import { driver as inMemory } from "#sidecar/stores/in-memory/in-memory.ts";
import { loadDriver } from "#sidecar/stores/registry.ts";
import { type OpenContext, type Store, type StoreDriver, StoreError, storeDriver } from "#sidecar/stores/store.ts";

const SPEED = 10;

/** Waits `speed` times shorter than it is asked to. */
export function clockOf(speed: number): Clock {
  return {
    nowMs: () => systemClock.nowMs(),
    monotonicMs: () => systemClock.monotonicMs() * speed,
    after: (delayMs, task) => systemClock.after(delayMs / speed, task),
  };
}

const fastClock: Clock = clockOf(SPEED);

/** Time in which the file source has looked at its folders several times. */
export const SEVERAL_LOOKS_MS = 2_000;

/** The same on the fast clock. */
export async function severalLooks(): Promise<void> {
  await delay(SEVERAL_LOOKS_MS / SPEED);
}

const WAIT_LIMIT_MS = 30_000;

export async function waitUntil(holds: () => boolean): Promise<void> {
  const end = Date.now() + WAIT_LIMIT_MS;
  while (!holds()) {
    assert.ok(Date.now() < end, `not within ${WAIT_LIMIT_MS} ms: ${holds}`);
    await delay(5);
  }
}

export interface ManifestParts {
  /** More entries of spec.metadata. */
  readonly metadata?: string;
  /** More members of spec. */
  readonly spec?: string;
  /** More members of the document. */
  readonly top?: string;
}

/** A Component of type state.test; `label` is YAML. Its label stands on line 10 unless `parts.spec` has lines. */
export function manifest(name: string, label: string, parts: ManifestParts = {}): string {
  return [
    `apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: ${name}\nspec:\n  type: state.test\n  version: v1\n`,
    parts.spec ?? "",
    `  metadata:\n  - name: label\n    value: ${label}\n`,
    parts.metadata ?? "",
    parts.top ?? "",
  ].join("");
}

export function inMemoryManifest(name: string): string {
  return `apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: ${name}}\nspec: {type: state.in-memory, version: v1}\n`;
}

export function found(host: ComponentHost, name: string): StoreEntry {
  const entry = host.find(name);
  assert.ok(entry, `${name} is not loaded`);
  return entry;
}

/** Each Component's name and state. */
export function states(host: ComponentHost): string[] {
  return host.statuses().map(({ name, state }) => `${name} ${state}`);
}

const call = { signal: new AbortController().signal };

/** Sets k to v in a store. */
export async function putV(host: ComponentHost, name: string): Promise<void> {
  const condition = { etag: null, firstWrite: false, strong: false, ttlSec: null };
  await found(host, name).store.set(
    { key: "k", bytes: Buffer.from("v"), isJson: false, ...condition, metadata: {} },
    call,
  );
}

/** The value of k, "" when there is none. */
export async function valueIn(host: ComponentHost, name: string): Promise<string> {
  const kept = await found(host, name).store.get("k", { strong: false, metadata: {} }, call);
  return Buffer.from(kept?.bytes ?? []).toString();
}

/** A store that the test driver has opened. */
export interface Opened {
  readonly label: string;
  readonly password: string;
  closed: boolean;
}

interface TestSettings {
  readonly label: string;
  readonly password: string;
}

const fields: FieldTable<TestSettings> = {
  label: text({ fallback: "", required: true, doc: "Says how the store is to behave." }),
  password: text({ fallback: "", secret: true, doc: "A secret." }),
};

export class Bench {
  folder = "";
  env: Readonly<Record<string, string>> = {};
  readonly lines: string[] = [];
  readonly opened: Opened[] = [];
  /** What was told of reloads: the Component and whether it was taken over. */
  readonly reloads: [string, boolean][] = [];
  /** How many files had a problem, each time when that was told. */
  readonly fileProblems: number[] = [];
  /** Labels whose store does not open, with the reason. */
  readonly failing: Map<string, string> = new Map();
  /** Labels whose store opens and does not answer. */
  readonly silent: Set<string> = new Set();
  /** Labels whose store takes as long to open as they stand here. */
  readonly hanging: Set<string> = new Set();
  /** The driver's own faults. */
  check: (settings: { readonly label: string; readonly password: string }) => readonly Fault[] = () => [];
  readonly #hosts: ComponentHost[] = [];

  async setUp(): Promise<void> {
    this.folder = await mkdtemp(join(tmpdir(), "pannier-components-"));
  }

  async tearDown(): Promise<void> {
    this.hanging.clear();
    for (const host of this.#hosts) await host.close(0);
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Puts a whole file in place at once, as a careful editor does. */
  async write(name: string, content: string): Promise<void> {
    const path = join(this.folder, name);
    await writeFile(`${path}.part~`, content);
    await rename(`${path}.part~`, path);
  }

  async start(options: Partial<ComponentsOptions> = {}): Promise<ComponentHost> {
    const host = await startComponents({
      appId: "app",
      namespace: "",
      podName: null,
      resourcesPaths: [this.folder],
      reconcileMs: 60_000,
      drainMs: 5_000,
      env: this.env,
      clock: fastClock,
      random: systemRandom,
      log: this.log(),
      metrics: this.#metrics(),
      loadDriver: (type) => (type === "state.test" ? Promise.resolve(this.#driver()) : loadDriver(type)),
      ...options,
    });
    this.#hosts.push(host);
    return host;
  }

  log(): Log {
    const write = (line: string): void => void this.lines.push(line);
    const { nowMs } = systemClock;
    return createLog({ level: "debug", json: true, appId: "app", instance: "test", version: "0", write, nowMs });
  }

  logged(pattern: RegExp): boolean {
    return this.lines.some((line) => pattern.test(line));
  }

  #metrics(): Metrics {
    return {
      ...noMetrics,
      componentReload: (name, success) => void this.reloads.push([name, success]),
      fileProblems: (count) => void this.fileProblems.push(count),
    };
  }

  #driver(): StoreDriver {
    return storeDriver<TestSettings>({
      type: "state.test",
      versions: ["v1"],
      defaultVersion: "v1",
      fields,
      check: (settings) => this.check(settings),
      open: (settings, context) => this.#open(settings, context),
    });
  }

  async #open({ label, password }: Readonly<TestSettings>, context: OpenContext): Promise<Store> {
    while (this.hanging.has(label)) await delay(5);
    const failure = this.failing.get(label);
    if (failure !== undefined) throw new StoreError("unavailable", failure);
    const record: Opened = { label, password, closed: false };
    this.opened.push(record);
    // It may come after its time was over: then too it opens, and the host has to close it.
    const inner = await inMemory.decode([], []).open({ ...context, signal: new AbortController().signal });
    const close = inner.close.bind(inner);
    return Object.assign(inner, {
      ping: async () => {
        if (this.silent.has(label)) throw new StoreError("unavailable", "no answer");
        if (record.closed) throw new StoreError("closed", "the store was closed");
      },
      close: async () => {
        record.closed = true;
        await close();
      },
    });
  }
}
