// Against an HTTPS server of this process: what is on the wire, and what comes of each way in which an answer fails.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import { dirname, join } from "node:path";
import { mock } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { systemClock } from "#kit/clock.ts";
import { type KubeClient, KubeError, PATCH_TYPES } from "#operator/kube/client.ts";
import { openKubeClient } from "#operator/kube/http-client.ts";
import { ManualClock } from "#test/unit/sidecar/resiliency/manual-clock.ts";
import { type Certificates, makeCertificates } from "../../../servers/certificates.ts";

const TOKEN = "t0ken-of-the-test";

type Handler = (asked: IncomingMessage, answer: ServerResponse, body: string) => void;

describe("kube client", () => {
  let certificates: Certificates;
  let server: Server;
  let handler: Handler;
  let connections: number;
  let client: KubeClient;
  let kubeconfig: string;

  before(async () => {
    certificates = await makeCertificates();
    const [key, cert] = await Promise.all([
      readFile(certificates.serverKeyFile),
      readFile(certificates.serverCertificateFile),
    ]);
    server = createServer({ key, cert }, async (asked, answer) => {
      const body = Buffer.concat(await asked.toArray()).toString();
      handler(asked, answer, body);
    });
    server.on("secureConnection", () => connections++);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    kubeconfig = join(dirname(certificates.authorityFile), "kubeconfig");
  });

  after(async () => {
    server.close();
    server.closeAllConnections();
    await certificates.remove();
  });

  beforeEach(async () => {
    connections = 0;
    await writeConfig(`https://127.0.0.1:${Object(server.address()).port}/clusters/one/`, { token: TOKEN });
    client = openKubeClient({ kubeconfig, clock: systemClock, requestsMax: 2, answerBytesMax: 1_000 });
  });

  afterEach(() => client.close());

  function writeConfig(url: string, user: object): Promise<void> {
    const config = {
      "current-context": "c",
      contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
      users: [{ name: "u", user }],
      clusters: [{ name: "c", cluster: { server: url, "certificate-authority": certificates.authorityFile } }],
    };
    return writeFile(kubeconfig, JSON.stringify(config));
  }

  /** The error of a request, checked for the token. */
  async function failureOf(promise: Promise<unknown>): Promise<KubeError> {
    const error = await promise.then(
      () => assert.fail("it resolved"),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof KubeError, String(error));
    assert.doesNotMatch(`${error.stack} ${JSON.stringify(error.cause)} ${String(error.cause)}`, new RegExp(TOKEN));
    return error;
  }

  const get = { method: "GET", path: "/api/v1/pods" } as const;

  it("sends method, path below the server's own, query, body and credentials over a kept connection", async () => {
    const seen: unknown[] = [];
    handler = ({ method, url, headers }, answer, body) => {
      seen.push([method, url, headers["content-type"], headers.accept, headers.authorization, body]);
      answer.end("{}");
    };
    await client.request({ ...get, query: { labelSelector: "a=b,c" }, accept: "application/json;as=Table" });
    const body = { spec: "ü" };
    await client.request({ method: "PATCH", path: "/api/v1/x", body, contentType: PATCH_TYPES.apply });
    const bearer = `Bearer ${TOKEN}`;
    assert.deepEqual(seen, [
      ["GET", "/clusters/one/api/v1/pods?labelSelector=a%3Db%2Cc", undefined, "application/json;as=Table", bearer, ""],
      ["PATCH", "/clusters/one/api/v1/x", PATCH_TYPES.apply, "application/json", bearer, '{"spec":"ü"}'],
    ]);
    assert.equal(connections, 1);
  });

  it("turns a Status into an error with its reason, message and Retry-After", async () => {
    handler = (_asked, answer) => {
      answer.writeHead(429, { "retry-after": "3" });
      answer.end(JSON.stringify({ kind: "Status", reason: "TooManyRequests", message: "slow down" }));
    };
    const error = await failureOf(client.request(get));
    assert.deepEqual([error.status, error.reason, error.retryAfterMs], [429, "TooManyRequests", 3_000]);
    assert.equal(error.message, "GET /api/v1/pods: 429 TooManyRequests: slow down");
  });

  it("makes do with the HTTP status where the body is no Status, and reads a date for Retry-After", async () => {
    handler = (_asked, answer) => {
      answer.writeHead(503, { "retry-after": new Date(Date.now() + 60_000).toUTCString() });
      answer.end(`<html>${TOKEN}`);
    };
    const error = await failureOf(client.request(get));
    assert.deepEqual([error.status, error.reason, error.message], [503, null, "GET /api/v1/pods: 503"]);
    assert.ok((error.retryAfterMs ?? 0) > 30_000);
  });

  it("quotes nothing of an answer that is no JSON", async () => {
    handler = (_asked, answer) => answer.end(`${TOKEN} {`);
    assert.match((await failureOf(client.request(get))).message, /is not JSON \(19 bytes\)$/);
  });

  it("takes no answer longer than its limit, nor one that breaks off", async () => {
    handler = (_asked, answer) => answer.end(JSON.stringify("x".repeat(2_000)));
    assert.match((await failureOf(client.request(get))).message, /longer than 1000 bytes/);
    handler = (_asked, answer) => answer.write('{"a":', () => answer.destroy());
    assert.equal((await failureOf(client.request(get))).status, 0);
  });

  it("ends by time, by its caller's signal and by close, whether it waits for an answer or for its turn", async () => {
    handler = () => undefined;
    const abort = new AbortController();
    const byTime = [1, 2].map(() => failureOf(client.request({ ...get, timeoutMs: 50 })));
    const inLine = failureOf(client.request({ ...get, timeoutMs: 40 }));
    for (const error of await Promise.all([...byTime, inLine]))
      assert.match(error.message, /no answer within [45]0 ms$/);
    const bySignal = failureOf(client.request({ ...get, signal: abort.signal }));
    const byClose = failureOf(client.request(get));
    await pause(20);
    abort.abort();
    assert.match((await bySignal).message, /given up by who asked$/);
    client.close();
    assert.match((await byClose).message, /the client is closed$/);
    assert.match((await failureOf(client.request(get))).message, /the client is closed$/);
  });

  it("has no more requests under way than it may, in the order in which they came", async () => {
    let under = 0;
    let most = 0;
    const order: string[] = [];
    handler = ({ url = "" }, answer) => {
      most = Math.max(most, ++under);
      order.push(url.slice(-1));
      setTimeout(() => {
        under--;
        answer.end("{}");
      }, 5);
    };
    await Promise.all([..."123456789"].map((nth) => client.request({ method: "GET", path: `/${nth}` })));
    assert.equal(most, 2);
    assert.deepEqual(order.length, 9);
  });

  it("uses a token that was changed in the file of the pod or kubeconfig from then on", async () => {
    const tokenFile = join(dirname(certificates.authorityFile), "token");
    await writeFile(tokenFile, "first");
    const provider = { "auth-provider": { name: "tokenFile", config: { tokenFile } } };
    await writeConfig(`https://127.0.0.1:${Object(server.address()).port}`, provider);
    const other = openKubeClient({ kubeconfig, clock: systemClock });
    const seen: unknown[] = [];
    handler = ({ headers }, answer) => {
      seen.push(headers.authorization);
      answer.end("{}");
    };
    await other.request(get);
    await writeFile(tokenFile, TOKEN);
    // The file is read again a minute after it was.
    mock.timers.enable({ apis: ["Date"], now: Date.now() + 61_000 });
    try {
      await other.request(get);
    } finally {
      mock.timers.reset();
      other.close();
    }
    assert.deepEqual(seen, ["Bearer first", `Bearer ${TOKEN}`]);
  });

  it("says which credentials it cannot read without their text", async () => {
    const exec = { apiVersion: "v1", command: "sh", args: ["-c", `echo ${TOKEN}`], interactiveMode: "Never" };
    await writeConfig("https://127.0.0.1:1", { exec });
    const other = openKubeClient({ kubeconfig, clock: systemClock });
    assert.match((await failureOf(other.request(get))).message, /cannot read the credentials .*\(SyntaxError\)$/);
    other.close();
  });

  it("refuses a kubeconfig without an https server, and a place that is no pod", async () => {
    await writeConfig("http://127.0.0.1:1", {});
    assert.throws(
      () => openKubeClient({ kubeconfig, clock: systemClock }),
      /got "http:\/\/127.0.0.1:1", want an https URL/,
    );
    assert.throws(() => openKubeClient({ kubeconfig: null, clock: systemClock }), /give --kubeconfig outside a pod/);
  });

  it("gives a stream's chunks as they come, without a time limit once it began", async () => {
    const next = Promise.withResolvers<ServerResponse>();
    handler = (_asked, answer) => {
      answer.write("one");
      next.resolve(answer);
    };
    const clock = new ManualClock();
    const other = openKubeClient({ kubeconfig, clock });
    const chunks = await other.stream({ ...get, signal: new AbortController().signal, timeoutMs: 50 });
    const reader = chunks[Symbol.asyncIterator]();
    assert.equal(String((await reader.next()).value), "one");
    await clock.advance(80);
    (await next.promise).end("two");
    assert.equal(String((await reader.next()).value), "two");
    assert.equal((await reader.next()).done, true);
    other.close();
  });

  it("ends a stream by its signal, by a broken connection and by a refusal with an error, and frees its turn", async () => {
    const abort = new AbortController();
    handler = (_asked, answer) => answer.write("one");
    const aborted = Array.fromAsync(await client.stream({ ...get, signal: abort.signal }));
    abort.abort();
    assert.equal((await failureOf(aborted)).status, 0);
    handler = (_asked, answer) => answer.write("one", () => answer.destroy());
    const { signal } = new AbortController();
    await failureOf(client.stream({ ...get, signal }).then((chunks) => Array.fromAsync(chunks)));
    handler = (_asked, answer) => {
      answer.writeHead(410);
      answer.end(JSON.stringify({ kind: "Status", reason: "Expired" }));
    };
    for (let turn = 0; turn < 3; turn++) {
      assert.equal((await failureOf(client.stream({ ...get, signal }))).reason, "Expired");
    }
  });
});
