import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, request as httpsRequest } from "node:https";
import { connect as connectPlainly, connect as connectTcp } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { systemClock } from "#kit/clock.ts";
import { issueAuthority, issueLeaf } from "#operator/certificates/issue.ts";
import type { CertificateSource } from "#operator/certificates/source.ts";
import type { Admit } from "#operator/webhook/review.ts";
import {
  BODY_BYTES_MAX,
  CONNECTIONS_MAX,
  PLACE_MS,
  REVIEWS_EACH_MAX,
  REVIEWS_MAX,
  startWebhook,
  type Webhook,
} from "#operator/webhook/server.ts";
import { keepLog } from "#test/unit/operator/certificates/log-lines.ts";
import { ManualClock } from "#test/unit/sidecar/resiliency/manual-clock.ts";

const HOUR_MS = 3_600_000;
/** The other clients come from 127.0.0.1. */
const EVIL = "127.0.0.9";
/** A thousand connections are made. */
const CONNECTED_WITHIN_MS = 120_000;
const validity = { fromMs: Date.now() - HOUR_MS, untilMs: Date.now() + HOUR_MS };
const ca = await issueAuthority(validity);
const source: CertificateSource = {
  current: { ...(await issueLeaf(["localhost"], ca, validity)), expiresAtMs: validity.untilMs },
  trustAnchors: ca.certificatePem,
  onChange: () => () => undefined,
  close: () => Promise.resolve(),
};
const pod = { uid: "u-1", kind: { group: "", version: "v1", kind: "Pod" }, object: {} };
const reviewOf = (request: unknown): string =>
  JSON.stringify({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request });

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: NodeJS.Dict<string | string[]>;
}

describe("the webhook's server", () => {
  const clock = new ManualClock();
  const kept = keepLog();
  const admitted: string[] = [];
  let admit: Admit;
  let webhook: Webhook;
  let agent: Agent;
  const ask = async (
    method: string,
    path: string,
    { body = "", headers = {} }: { body?: string | Buffer; headers?: Record<string, string> } = {},
  ): Promise<Answer> => {
    const sent = httpsRequest({
      host: "127.0.0.1",
      port: webhook.port,
      agent,
      method,
      path,
      headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body), ...headers },
    });
    sent.end(body);
    const [answer] = await once(sent, "response");
    let text = "";
    for await (const chunk of answer) text += chunk;
    return { status: answer.statusCode, text, headers: answer.headers };
  };
  /** A client that sends the first byte of nine. */
  const halfReview = async (localAddress = "127.0.0.1"): Promise<TLSSocket> => {
    const options = { port: webhook.port, host: "127.0.0.1", localAddress };
    const socket = connect({ ...options, ca: ca.certificatePem, servername: "localhost" });
    await once(socket, "secureConnect");
    socket.write("POST /mutate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{");
    return socket;
  };
  beforeEach(async () => {
    admit = () => ({
      kind: "allow",
      patch: [{ op: "add", path: "/a", value: 1 }],
      reason: "injected",
      warnings: ["w"],
    });
    agent = new Agent({ ca: ca.certificatePem, servername: "localhost", keepAlive: true });
    admitted.length = 0;
    kept.lines.length = 0;
    webhook = await startWebhook({
      source,
      admit: (request) => admit(request),
      port: 0,
      host: "127.0.0.1",
      drainMs: 5_000,
      metrics: { admitted: (outcome, reason) => admitted.push(`${outcome} ${reason}`) },
      clock,
      log: kept.log,
    });
  });
  afterEach(async () => {
    agent.destroy();
    const drained = webhook.drain();
    await clock.advance(5_000);
    await drained;
  });

  it("answers a review with its uid, patch and warnings", async () => {
    const { status, text, headers } = await ask("POST", "/mutate?timeout=5s", { body: reviewOf(pod) });
    assert.equal(status, 200);
    assert.match(String(headers["content-type"]), /^application\/json/);
    const { response } = JSON.parse(text);
    assert.deepEqual([response.uid, response.allowed, response.warnings], ["u-1", true, ["w"]]);
    assert.equal(Buffer.from(response.patch, "base64").toString(), '[{"op":"add","path":"/a","value":1}]');
    assert.deepEqual(admitted, ["injected injected"]);
  });

  it("takes a content type with parameters, in any case", async () => {
    const headers = { "content-type": "Application/JSON; charset=utf-8" };
    assert.equal((await ask("POST", "/mutate", { body: reviewOf(pod), headers })).status, 200);
  });

  const refused: readonly (readonly [string, Parameters<typeof ask>, number, RegExp])[] = [
    [
      "another content type",
      ["POST", "/mutate", { headers: { "content-type": "text/plain" } }],
      415,
      /got "text\/plain"/,
    ],
    ["no content type", ["POST", "/mutate", { headers: { "content-type": "" } }], 415, /got ""/],
    ["a compressed body", ["POST", "/mutate", { body: "x", headers: { "content-encoding": "gzip" } }], 415, /Encoding/],
    ["an empty body", ["POST", "/mutate"], 400, /the body is empty/],
    ["garbage", ["POST", "/mutate", { body: "{" }], 400, /no JSON object/],
    ["a review without uid", ["POST", "/mutate", { body: reviewOf({}) }], 400, /request\.uid: got nothing/],
    ["another method", ["GET", "/mutate"], 405, /want POST/],
    ["another path", ["POST", "/other", { body: reviewOf(pod) }], 404, /want POST \/mutate/],
  ];
  for (const [name, [method, path, rest = {}], status, sentence] of refused) {
    it(`refuses ${name} with ${status} and a sentence`, async () => {
      const answer = await ask(method, path, rest);
      assert.equal(answer.status, status);
      assert.match(answer.text, sentence);
      assert.equal((await ask("POST", "/mutate", { body: reviewOf(pod) })).status, 200);
    });
  }

  it("takes a review of 3 MiB and refuses a longer one with 413", async () => {
    const fill = (bytes: number): Buffer => {
      const [head = "", tail = ""] = reviewOf({ ...pod, object: { text: "|" } }).split("|");
      return Buffer.from(head + "x".repeat(bytes - head.length - tail.length) + tail);
    };
    assert.equal((await ask("POST", "/mutate", { body: fill(BODY_BYTES_MAX) })).status, 200);
    const answer = await ask("POST", "/mutate", { body: fill(BODY_BYTES_MAX + 1) });
    assert.equal(answer.status, 413);
    assert.match(answer.text, /want at most 3145728 bytes/);
  });

  it("answers a fault of the injector with a denial, logs it and goes on", async () => {
    admit = () => {
      throw new Error("planted");
    };
    const { status, text } = await ask("POST", "/mutate", { body: reviewOf(pod) });
    assert.deepEqual([status, JSON.parse(text).response.allowed], [200, false]);
    assert.equal(text.includes("planted"), false);
    assert.ok(kept.lines.some((line) => line.includes("planted")));
    assert.deepEqual(admitted, ["failed internal"]);
  });

  it("survives deep nesting", async () => {
    const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
    const body = reviewOf({ ...pod, object: "|" }).replace('"|"', deep);
    assert.equal((await ask("POST", "/mutate", { body })).status, 200);
  });

  it("answers many at once", async () => {
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        ask("POST", "/mutate", { body: reviewOf({ ...pod, uid: `u-${index}` }) }),
      ),
    );
    assert.deepEqual(
      answers.map(({ text }) => JSON.parse(text).response.uid),
      answers.map((_, index) => `u-${index}`),
    );
  });

  it("gives the place of a client back that has gone in the middle of its body", async () => {
    for (let client = 0; client < 40; client++) {
      const socket = await halfReview();
      await until(() => clock.timers === 1);
      socket.destroy();
      await until(() => clock.timers === 0);
    }
    assert.equal((await ask("POST", "/mutate", { body: reviewOf(pod) })).status, 200);
  });

  it("cuts off those whose body does not come, and answers who waited for their places", async () => {
    const slow = await Promise.all(Array.from({ length: REVIEWS_EACH_MAX }, () => halfReview()));
    await until(() => clock.timers === REVIEWS_EACH_MAX);
    const cut = Promise.all(slow.map((socket) => once(socket.resume(), "close")));
    await clock.advance(PLACE_MS - 1_000);
    const waiting = ask("POST", "/mutate", { body: reviewOf(pod) });
    await until(() => clock.timers === REVIEWS_EACH_MAX + 1);
    await clock.advance(1_000);
    assert.equal((await waiting).status, 200);
    await cut;
  });

  it("answers others while one address has all the places it gets and many that wait", async () => {
    const slow = await Promise.all(Array.from({ length: 3 * REVIEWS_MAX }, () => halfReview(EVIL)));
    await until(() => clock.timers === 3 * REVIEWS_MAX);
    assert.equal((await ask("POST", "/mutate", { body: reviewOf(pod) })).status, 200);
    for (const socket of slow) socket.destroy();
  });

  it("answers others while one address has all the connections", async function () {
    this.timeout(CONNECTED_WITHIN_MS);
    const options = { port: webhook.port, host: "127.0.0.1", localAddress: EVIL };
    const idle = Array.from({ length: CONNECTIONS_MAX }, () => connectTcp(options).on("error", () => undefined));
    await Promise.all(idle.map((socket) => once(socket, "connect")));
    for (let nth = 0; nth < 3; nth++) assert.equal((await ask("POST", "/mutate", { body: reviewOf(pod) })).status, 200);
    for (const socket of idle) socket.destroy();
  });

  it("gives no place to clients that have gone while they waited", async () => {
    const slow = await Promise.all(Array.from({ length: REVIEWS_EACH_MAX }, () => halfReview()));
    await until(() => clock.timers === REVIEWS_EACH_MAX);
    const waiting = await Promise.all(Array.from({ length: REVIEWS_EACH_MAX }, () => halfReview()));
    await until(() => clock.timers === 2 * REVIEWS_EACH_MAX);
    for (const socket of waiting) socket.destroy();
    // What comes later is seen later.
    for (let turn = 0; turn < 3; turn++) assert.equal((await ask("GET", "/")).status, 404);
    for (const socket of slow) socket.destroy();
    await until(() => clock.timers === 0);
    assert.equal((await ask("POST", "/mutate", { body: reviewOf(pod) })).status, 200);
  });

  it("refuses with 503 who has waited too long for a place", async () => {
    const slow = await Promise.all(Array.from({ length: 2 * REVIEWS_EACH_MAX }, () => halfReview()));
    await until(() => clock.timers === 2 * REVIEWS_EACH_MAX);
    const waiting = ask("POST", "/mutate", { body: reviewOf(pod) });
    await until(() => clock.timers === 2 * REVIEWS_EACH_MAX + 1);
    await clock.advance(3_000);
    const answer = await waiting;
    assert.deepEqual([answer.status, answer.headers["retry-after"]], [503, "1"]);
    for (const socket of slow) socket.destroy();
  });

  it("goes on answering while it drains, is not ready, and ends each connection with its answer", async () => {
    assert.equal(webhook.ready, true);
    const before = await ask("POST", "/mutate", { body: reviewOf(pod) });
    assert.equal(before.headers.connection, "keep-alive");
    const drained = webhook.drain();
    assert.equal(webhook.ready, false);
    for (let request = 0; request < 2; request++) {
      const answer = await ask("POST", "/mutate", { body: reviewOf(pod) });
      assert.deepEqual([answer.status, answer.headers.connection], [200, "close"]);
      await clock.advance(1_000);
    }
    await clock.advance(3_000);
    await drained;
    await assert.rejects(ask("POST", "/mutate", { body: reviewOf(pod) }), { code: "ECONNREFUSED" });
  });

  it("ends although a client shakes hands only afterwards", async () => {
    const socket = connectPlainly(webhook.port, "127.0.0.1");
    socket.on("error", () => undefined);
    await once(socket, "connect");
    // The server has taken the connection when it answers on a later one.
    await ask("GET", "/");
    const drained = webhook.drain();
    await clock.advance(5_000);
    await clock.advance(2_000);
    connect({ socket, ca: ca.certificatePem, servername: "localhost" }).on("error", () => undefined);
    await drained;
    socket.destroy();
  });

  it("rejects when its port is taken", async () => {
    const { port } = webhook;
    const metrics = { admitted: () => undefined };
    const options = { source, admit, port, host: "127.0.0.1", drainMs: 0, metrics, clock: systemClock, log: kept.log };
    await assert.rejects(startWebhook(options), { code: "EADDRINUSE" });
  });
});

const UNTIL_MS = 30_000;

async function until(holds: () => boolean): Promise<void> {
  const deadlineMs = Date.now() + UNTIL_MS;
  while (!holds()) {
    assert.ok(Date.now() < deadlineMs, `not within ${UNTIL_MS} ms: ${holds}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
