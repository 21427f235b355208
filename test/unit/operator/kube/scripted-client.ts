// A KubeClient whose answers a test decides, request by request, and whose watches it feeds by hand.
import assert from "node:assert/strict";
import { createLog } from "#kit/log.ts";
import { type KubeClient, KubeError, type KubeRequest } from "#operator/kube/client.ts";
import type { KubeContext } from "#operator/kube/context.ts";
import type { KubeObject } from "#operator/kube/object.ts";
import { noOperatorMetrics } from "#operator/metrics.ts";
import { ManualClock } from "../../sidecar/resiliency/manual-clock.ts";

export type Answer = (request: KubeRequest) => unknown;

/** An open watch. */
export class Feed {
  readonly query: Readonly<Record<string, string>>;
  readonly accept: string;
  readonly #signal: AbortSignal;
  readonly #stream: ReadableStream<Buffer>;
  #controller: ReadableStreamDefaultController<Buffer> | null = null;

  constructor(request: KubeRequest & { readonly signal: AbortSignal }) {
    this.query = request.query ?? {};
    this.accept = request.accept ?? "";
    this.#signal = request.signal;
    this.#stream = new ReadableStream({
      start: (controller) => {
        this.#controller = controller;
      },
    });
    this.#signal.addEventListener("abort", () => this.fail(failure(0, "given up by who asked")), { once: true });
  }

  get isCut(): boolean {
    return this.#signal.aborted;
  }

  get chunks(): AsyncIterable<Buffer> {
    return this.#stream;
  }

  event(type: string, object: unknown): void {
    this.text(`${JSON.stringify({ type, object })}\n`);
  }

  bookmark(resourceVersion: string): void {
    this.event("BOOKMARK", { metadata: { resourceVersion } });
  }

  text(text: string): void {
    this.#controller?.enqueue(Buffer.from(text));
  }

  end(): void {
    this.#controller?.close();
  }

  fail(error: Error): void {
    this.#controller?.error(error);
  }
}

export class ScriptedClient implements KubeClient {
  readonly requests: KubeRequest[] = [];
  readonly feeds: Feed[] = [];
  /** Decides each request; what it throws is the failure. */
  answer: Answer;
  /** The next watches fail with these instead of opening. */
  readonly refusals: KubeError[] = [];

  constructor(answer: Answer) {
    this.answer = answer;
  }

  /** The watch that was opened last. */
  get feed(): Feed {
    const feed = this.feeds.at(-1);
    assert.ok(feed !== undefined, "no watch was opened");
    return feed;
  }

  async request<T>(request: KubeRequest): Promise<T> {
    this.requests.push(request);
    const { signal } = request;
    signal?.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => aborted.reject(failure(0, "given up by who asked"));
    signal?.addEventListener("abort", abort, { once: true });
    try {
      return (await Promise.race([aborted.promise, this.answer(request)])) as T;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  async stream(request: KubeRequest & { readonly signal: AbortSignal }): Promise<AsyncIterable<Buffer>> {
    const refusal = this.refusals.shift();
    if (refusal !== undefined) throw refusal;
    const feed = new Feed(request);
    this.feeds.push(feed);
    return feed.chunks;
  }

  close(): void {
    for (const feed of this.feeds) feed.fail(failure(0, "the client is closed"));
  }
}

export interface TestContext extends KubeContext {
  readonly client: ScriptedClient;
  readonly clock: ManualClock;
  readonly lines: readonly string[];
  /** Causes of watches' restarts. */
  readonly restarts: readonly string[];
}

/** Chance is always one half of what it can be. */
export function testContext(answer: Answer): TestContext {
  const lines: string[] = [];
  const restarts: string[] = [];
  const clock = new ManualClock();
  let ids = 0;
  return {
    client: new ScriptedClient(answer),
    clock,
    random: { fraction: () => 0.5, uuid: () => `00000000-0000-4000-8000-${String(++ids).padStart(12, "0")}` },
    log: createLog({
      level: "debug",
      json: false,
      appId: "operator",
      instance: "test",
      version: "0",
      write: (line) => lines.push(line),
      nowMs: () => clock.nowMs(),
    }),
    metrics: { ...noOperatorMetrics, watchRestarted: (_resource, cause) => restarts.push(cause) },
    lines,
    restarts,
  };
}

export function failure(status: number, message: string, retryAfterMs: number | null = null): KubeError {
  return new KubeError(message, { status, reason: null, retryAfterMs });
}

/** An object `name` in namespace "default" at `version`. */
export function objectAt(name: string, version: string, more: Partial<KubeObject["metadata"]> = {}): KubeObject {
  return { metadata: { name, namespace: "default", uid: `uid of ${name}`, resourceVersion: version, ...more } };
}

export function page(version: string, items: readonly unknown[], place = ""): unknown {
  return { apiVersion: "v1", kind: "ConfigMapList", metadata: { resourceVersion: version, continue: place }, items };
}
