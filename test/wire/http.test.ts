// HTTP itself, mostly over plain sockets: keep-alive, chunks, pipelining, limits, clients that leave or talk nonsense.
import assert from "node:assert/strict";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { component, startWire, type WireSidecar } from "./sidecar.ts";
import { until } from "./until.ts";

const STORE = "/v1.0/state/statestore";
const BODY_MAX = 1024;

describe("HTTP at the edges", () => {
  let wire: WireSidecar;

  before(async () => {
    const manifests = { "a.yaml": component("statestore", "state.in-memory") };
    wire = await startWire({ manifests, settings: { bodyBytesMax: BODY_MAX } });
  });
  after(() => wire.stop());

  function head(method: string, path: string, ...headers: string[]): string {
    return [`${method} ${path} HTTP/1.1`, "Host: x", ...headers, "", ""].join("\r\n");
  }

  function save(key: string, ...headers: string[]): string {
    const body = `[{"key":"${key}","value":1}]`;
    return head("POST", STORE, `Content-Length: ${body.length}`, ...headers) + body;
  }

  function statuses(answer: string): string[] {
    return [...answer.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => match[1] ?? "");
  }

  it("answers several requests on one connection, sent one after the other or all at once", async () => {
    const text = save("p1") + save("p2") + head("GET", `${STORE}/p1`) + head("GET", `${STORE}/p2`, "Connection: close");
    assert.deepEqual(statuses(await wire.raw(text)), ["204", "204", "200", "200"]);
  });

  it("keeps the answers of pipelined requests in their order", async () => {
    const names = Array.from({ length: 50 }, (_, index) => `o${index}`);
    const reads = names.map((name) => head("GET", `${STORE}/${name}-missing?x=${name}`)).join("");
    const text = `${save("o", "Connection: keep-alive")}${reads}${head("GET", `${STORE}/o`, "Connection: close")}`;
    assert.deepEqual(statuses(await wire.raw(text)), ["204", ...names.map(() => "204"), "200"]);
  });

  it("takes a chunked body", async () => {
    const chunks = '6\r\n[{"key\r\n12\r\n":"c","value":[1]}\r\n1\r\n]\r\n0\r\n\r\n';
    const answer = await wire.raw(head("POST", STORE, "Transfer-Encoding: chunked", "Connection: close") + chunks);
    assert.deepEqual(statuses(answer), ["204"]);
    assert.equal((await wire.ask("GET", `${STORE}/c`)).text, "[1]");
  });

  it("asks for the body of an Expect: 100-continue", async () => {
    const answer = await wire.raw(save("e", "Expect: 100-continue", "Connection: close"));
    assert.deepEqual(statuses(answer), ["100", "204"]);
  });

  it("does not ask for a body that is over the limit", async () => {
    const answer = await wire.raw(
      head("POST", STORE, `Content-Length: ${BODY_MAX + 1}`, "Expect: 100-continue", "Connection: close"),
      { until: "stream too large" },
    );
    assert.deepEqual(statuses(answer), ["400"]);
  });

  it("does not ask for a body that no route or store would take", async () => {
    for (const [path, status, tag] of [
      ["/v1.0/nowhere", "404", "ERR_DIRECT_INVOKE"],
      ["/v1.0/state/nothere", "400", "ERR_STATE_STORE_NOT_FOUND"],
      ["/v1.0/state/nothere/bulk", "400", "ERR_STATE_STORE_NOT_FOUND"],
      ["/v1.0/state/nothere/transaction", "400", "ERR_STATE_STORE_NOT_FOUND"],
    ] as const) {
      const answer = await wire.raw(head("POST", path, "Content-Length: 2", "Expect: 100-continue"));
      assert.deepEqual(statuses(answer), [status], path);
      assert.ok(answer.includes(`"errorCode":"${tag}"`), answer);
    }
  });

  it("takes a body of exactly the limit and refuses one byte more, announced or chunked", async () => {
    const filler = (length: number): string =>
      `[{"key":"limit","value":"${"x".repeat(length - '[{"key":"limit","value":""}]'.length)}"}]`;
    assert.equal((await wire.ask("POST", STORE, { body: filler(BODY_MAX) })).status, 204);
    for (const headers of [{}, { "transfer-encoding": "chunked" }]) {
      const answer = await wire.ask("POST", STORE, { body: filler(BODY_MAX + 1), headers });
      assert.equal(answer.status, 400);
      const { errorCode, message } = JSON.parse(answer.text);
      assert.equal(errorCode, "ERR_MALFORMED_REQUEST");
      assert.match(message, /^stream too large: the body has more than 1024 bytes/);
    }
    const bulk = await wire.ask("POST", `${STORE}/bulk`, { body: filler(BODY_MAX + 1) });
    assert.match(JSON.parse(bulk.text).message, /^failed deserializing HTTP body: stream too large/);
  });

  it("serves the next request on the connection of one whose body was too large", async () => {
    const body = "x".repeat(BODY_MAX * 50);
    const text =
      head("POST", STORE, `Content-Length: ${body.length}`) + body + head("GET", `${STORE}/none`, "Connection: close");
    assert.deepEqual(statuses(await wire.raw(text)), ["400", "204"]);
  });

  it("answers 431 to a head over the limit", async () => {
    assert.deepEqual(statuses(await wire.raw(head("GET", "/v1.0/healthz", `X-Long: ${"x".repeat(9000)}`))), ["431"]);
  });

  it("answers 400 to what is not HTTP and goes on serving", async () => {
    for (const text of [
      "nonsense\r\n\r\n",
      "GET / HTTP/9.9\r\n\r\n",
      "POST /v1.0/state/s HTTP/1.1\r\nContent-Length: x\r\n\r\n",
      "\u0016\u0003\u0001\u0002\u0000",
    ]) {
      assert.deepEqual(statuses(await wire.raw(text, { end: true })), ["400"], JSON.stringify(text));
    }
    assert.equal((await wire.ask("GET", "/v1.0/healthz")).status, 204);
  });

  it("answers a request although nonsense follows it, and the nonsense after that", async () => {
    await wire.ask("POST", STORE, { body: '[{"key":"stray","value":"kept"}]' });
    const read = head("GET", `${STORE}/stray`);
    const answer = await wire.raw(`${read}stray bytes`, { end: true });
    assert.deepEqual(statuses(answer), ["200", "400"]);
    assert.ok(answer.includes('"kept"'));
    const closing = await wire.raw(`${head("DELETE", `${STORE}/stray`, "Connection: close")}stray bytes`, {
      end: true,
    });
    assert.deepEqual(statuses(closing), ["204"]);
    assert.equal((await wire.ask("GET", `${STORE}/stray`)).status, 204);
  });

  it("answers a client that has ended its side, on every kind of store", async () => {
    const file = { connectionString: "file::memory:" };
    const manifests = { "a.yaml": component("statestore", "state.sqlite", file) };
    const other = await startWire({ manifests });
    try {
      for (const each of [wire, other]) {
        assert.deepEqual(statuses(await each.raw(save("half-closed"), { end: true })), ["204"]);
        assert.deepEqual(statuses(await each.raw(head("GET", `${STORE}/half-closed`), { end: true })), ["200"]);
      }
    } finally {
      await other.stop();
    }
  });

  it("reads no further when too many requests of one connection wait, and answers all of them", async () => {
    const count = 3000;
    const body = '[{"key":"flood","value":1}]';
    const slow = `POST ${STORE} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`;
    const socket = connect(wire.sidecar.httpPort, "127.0.0.1");
    let seen = "";
    socket.on("data", (chunk) => {
      seen += chunk.toString("latin1");
    });
    // The first request has no body yet: everything else waits behind it.
    socket.write(slow + body.slice(0, 5));
    await new Promise((resolve) => setTimeout(resolve, 20));
    socket.write(body.slice(5) + head("GET", `${STORE}/flood`).repeat(count));
    while (statuses(seen).length < count + 1) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual([statuses(seen)[0], new Set(statuses(seen).slice(1))], ["204", new Set(["200"])]);
    socket.destroy();
  });

  it("forgets what a client has pipelined and then left behind", async () => {
    const socket = connect(wire.sidecar.httpPort, "127.0.0.1");
    socket.write(head("POST", STORE, "Content-Length: 500"));
    socket.write("x".repeat(400));
    await new Promise((resolve) => setTimeout(resolve, 20));
    socket.destroy();
    assert.equal((await wire.ask("GET", "/v1.0/healthz")).status, 204);
  });

  it("lets a client that sends a refused body in full read why, also when the connection ends with it", async () => {
    const body = "x".repeat(8 * 1024 * 1024);
    const request = head("POST", STORE, `Content-Length: ${body.length}`, "Connection: close") + body;
    for (let i = 0; i < 5; i++) assert.deepEqual(statuses(await wire.raw(request)), ["400"]);
  });

  it("refuses a body that is packed, which it would store as it is", async () => {
    const answer = await wire.raw(head("POST", STORE, "Transfer-Encoding: gzip, chunked", "Connection: close"), {
      until: "encoding",
    });
    assert.deepEqual(statuses(answer), ["501"]);
  });

  it("refuses a request with two lengths that disagree, and one with both a length and chunks", async () => {
    const two = head("POST", STORE, "Content-Length: 2", "Content-Length: 3");
    const both = head("POST", STORE, "Content-Length: 2", "Transfer-Encoding: chunked");
    for (const text of [two, both]) assert.deepEqual(statuses(await wire.raw(`${text}[]`, { end: true })), ["400"]);
  });

  it("forgets a client that leaves in the middle of its body", async () => {
    for (let i = 0; i < 20; i++) {
      const socket = connect(wire.sidecar.httpPort, "127.0.0.1");
      socket.write(`${head("POST", STORE, "Content-Length: 500")}[{"key":"half`);
      await new Promise((resolve) => socket.once("connect", resolve));
      await new Promise((resolve) => setTimeout(resolve, 5));
      socket.destroy();
    }
    assert.equal((await wire.ask("GET", `${STORE}/half`)).status, 204);
    const [entry] = [...wire.sidecar.stores.all()];
    assert.equal(entry?.calls, 0);
    assert.ok(!wire.log.some((line) => line.includes("fault of the sidecar")), wire.log.join(""));
  });

  it("ignores Upgrade: h2c and answers over HTTP/1.1", async () => {
    const answer = await wire.raw(
      head(
        "GET",
        "/v1.0/healthz",
        "Connection: Upgrade, HTTP2-Settings, close",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQAAP__",
      ),
      { until: "\r\n\r\n" },
    );
    assert.deepEqual(statuses(answer), ["204"]);
  });

  it("takes an absolute request target", async () => {
    assert.deepEqual(statuses(await wire.raw(head("GET", "http://x/v1.0/healthz", "Connection: close"))), ["204"]);
  });

  it("says of a raw character in a path that it must be percent-encoded", async () => {
    const answer = await wire.raw(Buffer.from(head("GET", `${STORE}/ü`)));
    assert.deepEqual(statuses(answer), ["400"]);
    assert.match(answer, /must be percent-encoded/);
  });

  it("ends busy connections with an answer that says so, and fails no request of theirs", async () => {
    const manifests = { "a.yaml": component("statestore", "state.in-memory") };
    const ending = await startWire({ manifests });
    const agent = new Agent({ keepAlive: true, maxSockets: 8 });
    const failures: string[] = [];
    const answered = new Set<number>();
    let refused = false;
    const worker = async (_: unknown, number: number): Promise<void> => {
      while (!refused) {
        await new Promise<void>((resolve) => {
          const outgoing = request(
            { host: "127.0.0.1", port: ending.sidecar.httpPort, path: "/v1.0/healthz", agent },
            (incoming) => {
              answered.add(number);
              incoming.resume();
              incoming.on("end", resolve);
            },
          );
          outgoing.on("error", (error: NodeJS.ErrnoException) => {
            if (error.code === "ECONNREFUSED") refused = true;
            else failures.push(String(error.code));
            resolve();
          });
          outgoing.end();
        });
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    };
    const working = Promise.all(Array.from({ length: 8 }, worker));
    // All began at once, each over a connection of its own: none is still to be taken by the server.
    await until("all are answered", () => answered.size === 8);
    await ending.stop();
    await working;
    agent.destroy();
    assert.deepEqual(failures, []);
  });

  it("answers what is under way when it is told to end, and takes no more", async () => {
    const manifests = { "a.yaml": component("statestore", "state.in-memory") };
    const ending = await startWire({ manifests, settings: { drainMs: 60_000 } });
    const body = '[{"key":"k","value":1}]';
    const slow = connect(ending.sidecar.httpPort, "127.0.0.1");
    let seen = "";
    slow.on("data", (chunk) => {
      seen += chunk.toString();
    });
    slow.write(head("POST", STORE, `Content-Length: ${body.length}`, "Expect: 100-continue"));
    await until("the request is under way", () => seen === "HTTP/1.1 100 Continue\r\n\r\n");
    slow.write(body.slice(0, 5));
    const stopped = ending.stop();
    await until("nobody is let in", () =>
      ending.ask("GET", "/v1.0/healthz").then(
        () => false,
        () => true,
      ),
    );
    slow.write(body.slice(5));
    await stopped;
    assert.deepEqual(statuses(seen), ["100", "204"]);
  });
});
