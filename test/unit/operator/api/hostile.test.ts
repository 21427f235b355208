// What one pod with a token of its own, or with none, can do to the operator and to the sidecars of others.
import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { connect as connectTcp } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { REPORT_NAME_MAX, REPORT_PATH, RESOURCES_PATH } from "#crds/distribution.ts";
import { LOOKS_RATE } from "#operator/api/authorize.ts";
import { BODY_WITHIN_MS } from "#operator/api/bodies.ts";
import { REFUSAL_LOG_RATE, REPORT_RATE } from "#operator/api/routes.ts";
import { until } from "#test/wire/until.ts";
import { ManualClock } from "../../sidecar/resiliency/manual-clock.ts";
import { Bench, entry, makeTrust, type Trust } from "./bench.ts";

/** The other clients come from 127.0.0.1. */
const EVIL = "127.0.0.9";
const READY = { name: "orders", uid: "u", generation: 1, state: "ready", reachable: true, message: null };

describe("distribution API, towards a hostile pod", () => {
  let trust: Trust;
  let clock: ManualClock;
  let bench: Bench;
  let evil: string;
  let good: string;

  before(async () => {
    trust = await makeTrust();
  });
  after(() => trust.certificates.remove());
  beforeEach(async () => {
    clock = new ManualClock();
    bench = await new Bench({ trust, clock }).start();
    bench.resources.set(entry("orders"));
    evil = bench.cluster.token(bench.cluster.put({ name: "evil" }));
    good = bench.cluster.token(bench.cluster.put({ name: "good" }));
    for (const token of [evil, good]) await (await bench.open(token)).synced();
  });
  afterEach(() => bench.close());

  async function report(token: string, changes: object = {}): Promise<number> {
    const text = JSON.stringify({ components: [{ ...READY, ...changes }] });
    const answer: IncomingMessage = await bench.ask("POST", REPORT_PATH, token, { text });
    answer.resume();
    return answer.statusCode ?? 0;
  }

  /** A report of which only the first byte comes. */
  async function begun(token: string): Promise<TLSSocket> {
    const ca = trust.certificates.authority;
    const socket = connect({ port: bench.port, host: "127.0.0.1", ca, servername: "localhost" });
    await once(socket, "secureConnect");
    const head = [`POST ${REPORT_PATH} HTTP/1.1`, "Host: a", `Authorization: Bearer ${token}`];
    socket.write([...head, "Content-Type: application/json", "Content-Length: 100", "", "{"].join("\r\n"));
    return socket;
  }

  it("takes the reports of other pods while one sends sixteen that do not come", async () => {
    const sockets = await Promise.all(Array.from({ length: 16 }, () => begun(evil)));
    // All but the first are answered.
    await Promise.any(sockets.map((socket) => once(socket, "data")));
    assert.equal(await report(good), 204);
    assert.equal(await report(evil), 429);
    for (const socket of sockets) socket.destroy();
  });

  it("waits only so long for the body of a report, and then takes the next one of the pod", async () => {
    const socket = await begun(evil);
    const second = await begun(evil);
    const [refused] = await once(second, "data");
    assert.match(String(refused), /^HTTP\/1\.1 429 /);
    const cut = once(socket.resume(), "close");
    await clock.advance(BODY_WITHIN_MS);
    await cut;
    second.destroy();
    assert.equal(await report(evil), 204);
  });

  it("refuses a report with longer names than Kubernetes has", async () => {
    assert.equal(await report(evil, { uid: "u".repeat(REPORT_NAME_MAX) }), 204);
    assert.equal(await report(evil, { uid: "u".repeat(REPORT_NAME_MAX + 1) }), 400);
  });

  it("takes so many reports of a pod and no more, and those of others all the same", async () => {
    for (let nth = 0; nth < REPORT_RATE.atOnce; nth++) assert.equal(await report(evil), 204);
    assert.equal(await report(evil), 429);
    assert.equal(await report(good), 204);
    await clock.advance(REPORT_RATE.everyMs);
    assert.equal(await report(evil), 204);
  });

  it("looks so often at a pod for its streams and no more, and at others all the same", async () => {
    const { podsAsked } = bench.cluster;
    for (let nth = 1; nth < LOOKS_RATE.atOnce; nth++) assert.equal((await bench.open(evil)).status, 200);
    const asked = podsAsked.length;
    const refused = await bench.open(evil);
    assert.deepEqual([refused.status, refused.response.headers["retry-after"]], [429, "5"]);
    assert.equal(podsAsked.length, asked);
    assert.equal((await bench.open(good)).status, 200);
    await clock.advance(LOOKS_RATE.everyMs);
    assert.equal((await bench.open(evil)).status, 200);
  });

  it("logs only some of what it refuses to one address", async () => {
    const lines = (): number => bench.lines.filter((line) => line.includes("a request is refused")).length;
    const { atOnce, everyMs } = REFUSAL_LOG_RATE;
    for (let nth = 0; nth < 3 * atOnce; nth++) assert.equal((await bench.open(null)).status, 401);
    assert.equal(lines(), atOnce);
    await clock.advance(everyMs);
    assert.equal((await bench.ask("GET", `${RESOURCES_PATH}/`, null)).statusCode, 404);
    assert.equal(lines(), atOnce + 1);
  });

  it("keeps streams and new ones of others while one address has all other connections", async () => {
    await bench.close();
    bench = await new Bench({ trust, clock, streamlessMax: 20 }).start();
    bench.resources.set(entry("orders"));
    const [first, second] = ["a", "b"].map((name) => bench.cluster.token(bench.cluster.put({ name })));
    const stream = await bench.open(first ?? "");
    const idle = Array.from({ length: 40 }, () =>
      connectTcp({ port: bench.port, host: "127.0.0.1", localAddress: EVIL }),
    );
    for (const socket of idle) socket.on("error", () => undefined);
    await until("some are broken off", () => idle.filter(({ closed }) => closed).length === 20);
    await (await bench.open(second ?? "")).synced();
    await until("one more is, for the stream's connection", () => idle.filter(({ closed }) => closed).length === 21);
    assert.equal(stream.hasEnded, false);
    for (const socket of idle) socket.destroy();
  });

  it("speaks no TLS below 1.3", async () => {
    const ca = trust.certificates.authority;
    const options = { port: bench.port, host: "127.0.0.1", ca, servername: "localhost" } as const;
    const old = connect({ ...options, maxVersion: "TLSv1.2" });
    await assert.rejects(once(old, "secureConnect"), /protocol version|ECONNRESET/);
    const newer = connect(options);
    await once(newer, "secureConnect");
    assert.equal(newer.getProtocol(), "TLSv1.3");
    newer.destroy();
  });
});
