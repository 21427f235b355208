import assert from "node:assert/strict";
import { KubeError, type KubeRequest } from "#operator/kube/client.ts";
import {
  EVENTS_AT_ONCE,
  EVENTS_QUEUED_MAX,
  EventRecorder,
  SERIES_PAUSE_MS,
  SERIES_WRITE_MS,
} from "#operator/kube/event-recorder.ts";
import type { Told } from "#operator/kube/events.ts";
import { failure, objectAt, type TestContext, testContext } from "./scripted-client.ts";

describe("event recorder", () => {
  let context: TestContext;
  let events: EventRecorder;

  beforeEach(() => {
    context = testContext(() => ({}));
    events = new EventRecorder(context, { controller: "pannier-operator", instance: "pod-1" });
  });

  function told(more: Partial<Told> = {}, name = "orders"): Told {
    const about = { apiVersion: "dapr.io/v1alpha1", kind: "Component", ...objectAt(name, "7") };
    return { about, type: "Warning", reason: "NotReady", action: "Reconcile", note: "the store is away", ...more };
  }

  function bodies(): readonly Record<string, unknown>[] {
    return context.client.requests.map(({ body }) => body as Record<string, unknown>);
  }

  function methods(): readonly string[] {
    return context.client.requests.map(({ method }) => method);
  }

  it("writes what happened, to what, and who says so", async () => {
    await context.clock.advance(1_234);
    events.tell(told());
    await events.close();
    const [request] = context.client.requests;
    assert.equal(request?.path, "/apis/events.k8s.io/v1/namespaces/default/events");
    assert.deepEqual(request?.body, {
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      metadata: { name: "orders.0000000000004000", namespace: "default" },
      eventTime: "1970-01-01T00:00:01.234000Z",
      reportingController: "pannier-operator",
      reportingInstance: "pod-1",
      type: "Warning",
      reason: "NotReady",
      action: "Reconcile",
      note: "the store is away",
      regarding: {
        apiVersion: "dapr.io/v1alpha1",
        kind: "Component",
        name: "orders",
        namespace: "default",
        uid: "uid of orders",
        resourceVersion: "7",
      },
    });
  });

  it("counts repetitions in one Event, and begins another after a long pause", async () => {
    for (let turn = 0; turn < 5; turn++) events.tell(told());
    await context.clock.advance(0);
    for (let turn = 0; turn < 5; turn++) events.tell(told());
    await context.clock.advance(SERIES_WRITE_MS);
    assert.deepEqual(methods(), ["POST", "PATCH"]);
    assert.deepEqual(bodies()[1], { series: { count: 10, lastObservedTime: "1970-01-01T00:00:00.000000Z" } });
    await context.clock.advance(SERIES_PAUSE_MS);
    events.tell(told());
    await events.close();
    assert.deepEqual(methods(), ["POST", "PATCH", "POST"]);
  });

  it("writes the Event anew when the API server has forgotten it", async () => {
    events.tell(told());
    await context.clock.advance(0);
    context.client.answer = ({ method }) => {
      if (method === "PATCH") throw failure(404, "not found");
      return {};
    };
    events.tell(told());
    await context.clock.advance(SERIES_WRITE_MS);
    assert.deepEqual(methods(), ["POST", "PATCH", "POST"]);
    assert.equal(events.dropped, 0);
  });

  it("tries again what may pass, under the same name, and takes one that is there for written", async () => {
    let attempts = 0;
    context.client.answer = () => {
      attempts++;
      if (attempts === 1) throw failure(0, "socket hang up");
      if (attempts === 2) throw failure(429, "slow down", 5_000);
      throw new KubeError("there", { status: 409, reason: "AlreadyExists", retryAfterMs: null });
    };
    events.tell(told());
    await context.clock.advance(20_000);
    assert.deepEqual([attempts, events.dropped], [3, 0]);
    assert.equal(new Set(bodies().map(({ metadata }) => JSON.stringify(metadata))).size, 1);
  });

  it("drops and counts what is refused, and what still fails after four attempts", async () => {
    context.client.answer = ({ body }) => {
      throw failure(JSON.stringify(body).includes("refused") ? 403 : 500, "no");
    };
    events.tell(told({ note: "refused" }));
    events.tell(told({ note: "failing" }));
    await context.clock.advance(60_000);
    assert.deepEqual([context.client.requests.length, events.dropped], [5, 2]);
    assert.equal(context.lines.filter((line) => line.includes("an Event was not written")).length, 2);
  });

  it("has a rate for each object, which others do not share", async () => {
    for (let turn = 0; turn < EVENTS_AT_ONCE + 10; turn++) events.tell(told({ note: `change ${turn}` }));
    events.tell(told({}, "payments"));
    await context.clock.advance(0);
    assert.deepEqual([context.client.requests.length, events.dropped], [EVENTS_AT_ONCE + 1, 10]);
    await context.clock.advance(60_000);
    events.tell(told({ note: "later" }));
    await events.close();
    assert.equal(context.client.requests.length, EVENTS_AT_ONCE + 2);
  });

  it("drops the oldest when too many wait", async () => {
    const first = Promise.withResolvers<unknown>();
    context.client.answer = () => first.promise;
    for (let nth = 0; nth < EVENTS_QUEUED_MAX + 6; nth++) events.tell(told({}, `component-${nth}`));
    context.client.answer = () => ({});
    first.resolve({});
    await events.close();
    const names = bodies().map(({ regarding }) => (regarding as { name: string }).name);
    assert.deepEqual([names.length, names[1], events.dropped], [EVENTS_QUEUED_MAX + 1, "component-6", 5]);
  });

  it("cuts a note to 1024 bytes, between characters", async () => {
    events.tell(told({ note: `x${"ü".repeat(2_000)}` }));
    await events.close();
    assert.equal(bodies()[0]?.note, `x${"ü".repeat(511)}`);
  });

  it("puts an Event about what has no namespace into default", async () => {
    const node = { apiVersion: "v1", kind: "Node", metadata: { name: "n1", uid: "u", resourceVersion: "1" } };
    events.tell(told({ about: node }));
    await events.close();
    assert.match(context.client.requests[0]?.path ?? "", /namespaces\/default\/events$/);
  });

  it("ends soon when it is closed while the API server does not answer", async () => {
    context.client.answer = (_request: KubeRequest) => new Promise(() => undefined);
    events.tell(told());
    events.tell(told({ note: "another" }));
    const closing = events.close();
    await context.clock.advance(2_000);
    await closing;
    events.tell(told({ note: "too late" }));
    assert.deepEqual([events.dropped, context.clock.timers], [3, 0]);
  });
});
