// What becomes of a connection whose client floods, stalls or leaves: counted on the server's side, over a server whose
// handlers the test holds in its hand.
import assert from "node:assert/strict";
import { malformed } from "#sidecar/state/errors.ts";
import { HeldServer, head, type Routes, statuses } from "./held-server.ts";

/** What the kernel may hold of a connection's unread bytes is not the server's; this is what one read of it takes. */
const READ_BYTES = 65_536;
const BODY_MAX = 1_000_000;
const BIG = Buffer.alloc(8 * 1024 * 1024, "x");

describe("a connection", () => {
  let held: HeldServer;
  /** Told by the handlers: what they have run. */
  let ran: string[];
  /** Lets the requests for /slow go on. */
  let release: () => void;

  beforeEach(async () => {
    ran = [];
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const routes: Routes = {
      "/slow": async (exchange) => {
        ran.push("slow");
        await released;
        exchange.sendNothing();
      },
      "/echo/{text}": (exchange) => {
        ran.push(exchange.parameter(0));
        exchange.sendText(200, exchange.parameter(0));
      },
      "/body": async (exchange) => {
        const body = await exchange.body(BODY_MAX, "");
        ran.push(body.toString());
        exchange.sendNothing();
      },
      "/refused": () => {
        throw malformed("this is not wanted");
      },
      "/big": (exchange) => exchange.send(200, [], BIG),
      "/pieces": async (exchange) => {
        await exchange.sendPieces(200, [BIG, BIG]);
        ran.push("pieces");
      },
    };
    held = new HeldServer(routes, BODY_MAX);
    await held.listen();
  });

  afterEach(async () => {
    release();
    await held.close();
  });

  /** Waits for it; mocha's limit is the deadline. */
  async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
    while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  /** Waits until nothing more is read, and gives how much was. */
  async function settledBytesRead(): Promise<number> {
    let bytes = -1;
    await until(async () => {
      const before = bytes;
      await new Promise((resolve) => setTimeout(resolve, 100));
      bytes = held.accepted[0]?.bytesRead ?? 0;
      return bytes === before;
    });
    return bytes;
  }

  describe("of a client that does not wait for answers", () => {
    const count = 20_000;

    it("is read no further while a slow request is answered, then gets every answer in its order", async () => {
      const texts = Array.from({ length: count }, (_, index) => String(index));
      const { socket, seen } = held.open(head("GET", "/slow"));
      await until(() => ran.length === 1);
      socket.write(texts.map((text) => head("GET", `/echo/${text}`)).join(""));
      const bytesRead = await settledBytesRead();
      assert.ok(bytesRead <= 2 * READ_BYTES, `${bytesRead} bytes were read`);
      release();
      await until(() => ran.length === count + 1);
      await until(() => seen().endsWith(`\r\n\r\n${count - 1}`));
      assert.deepEqual(ran, ["slow", ...texts]);
      assert.deepEqual(
        [...seen().matchAll(/\r\n\r\n(\d+)/g)].map((match) => match[1]),
        texts,
      );
    });

    it("is not read on by each body that its turn brings", async () => {
      const post = `${head("POST", "/body", "Content-Length: 1")}1`;
      const { socket, seen } = held.open(head("GET", "/slow"));
      await until(() => ran.length === 1);
      socket.write(post.repeat(count));
      let mostUnserved = await settledBytesRead();
      release();
      await until(() => {
        const unserved = (held.accepted[0]?.bytesRead ?? 0) - ran.length * post.length;
        mostUnserved = Math.max(mostUnserved, unserved);
        return statuses(seen()).length === count + 1;
      });
      assert.ok(mostUnserved <= 2 * READ_BYTES, `${mostUnserved} bytes waited`);
    });

    it("is not read on by each answer that it takes", async () => {
      const request = head("GET", "/big");
      const { socket } = held.open(request.repeat(count));
      for (let answered = 1; answered <= 5; answered++) {
        let taken = 0;
        socket.on("data", (chunk) => {
          taken += chunk.length;
          if (taken > BIG.length) socket.pause();
        });
        await until(() => taken > BIG.length);
        const read = await settledBytesRead();
        assert.ok(read <= 2 * READ_BYTES, `${read} bytes were read`);
        socket.removeAllListeners("data");
        socket.resume();
      }
    });

    it("leaves nothing behind when it is closed", async () => {
      const { socket } = held.open(head("GET", "/slow"));
      await until(() => ran.length === 1);
      socket.write(head("GET", "/echo/never").repeat(count));
      await settledBytesRead();
      socket.destroy();
      release();
      await until(async () => (await held.connections()) === 0);
      assert.ok(ran.length < count / 2, `${ran.length} requests were served`);
    });
  });

  describe("of a client that leaves in the middle of its request", () => {
    it("is closed when the rest of the body will not come", async () => {
      for (const body of ["Content-Length: 500", "Transfer-Encoding: chunked"]) {
        const { socket, seen } = held.open(`${head("POST", "/body", body)}a\r\nhalf`);
        socket.end();
        await until(async () => seen() !== "" && (await held.connections()) === 0);
        assert.deepEqual(statuses(seen()), ["400"]);
      }
      assert.deepEqual([ran, held.logged], [[], ""]);
    });

    it("is closed after the answers to what came before", async () => {
      const { socket, seen } = held.open(`${head("GET", "/slow")}${head("POST", "/body", "Content-Length: 9")}half`);
      socket.end();
      await until(() => ran.length === 1);
      release();
      await until(async () => (await held.connections()) === 0);
      assert.deepEqual([ran, statuses(seen())], [["slow"], ["204", "400"]]);
    });

    it("is closed without a second answer when the first came before the body", async () => {
      for (const before of ["", head("GET", "/echo/first")]) {
        const { socket, seen } = held.open(`${before}${head("POST", "/refused", "Content-Length: 9")}half`);
        await until(() => seen().includes("this is not wanted"));
        socket.end();
        await until(async () => (await held.connections()) === 0);
        assert.deepEqual(statuses(seen()), before === "" ? ["400"] : ["200", "400"]);
      }
    });

    it("is closed when a chunk is none", async () => {
      const { seen } = held.open(`${head("POST", "/body", "Transfer-Encoding: chunked")}nonsense\r\n`);
      await until(() => seen() !== "");
      assert.deepEqual(statuses(seen()), ["400"]);
      await until(async () => (await held.connections()) === 0);
    });

    it("is closed soon although a client of nonsense keeps its side open", async () => {
      const { seen } = held.open("nonsense\r\n\r\n");
      await until(async () => seen() !== "" && (await held.connections()) === 0);
      assert.deepEqual(statuses(seen()), ["400"]);
    });
  });

  it("is answered 408 and closed when its request does not arrive in time, and takes nothing that comes later", async () => {
    // The server looks every five seconds.
    [held.server.headersTimeout, held.server.requestTimeout] = [1, 1];
    const { socket, seen } = held.open(`${head("POST", "/body", "Content-Length: 8")}half`);
    await until(() => seen() !== "");
    assert.deepEqual(statuses(seen()), ["408"]);
    socket.write("half");
    await until(async () => (await held.connections()) === 0);
    assert.deepEqual(ran, []);
  });

  describe("of a client that takes no answer", () => {
    for (const path of ["/big", "/pieces"]) {
      it(`is given up, with ${path}`, async () => {
        assert.ok(held.server.timeout > 0);
        held.server.timeout = 200;
        const { socket } = held.open("");
        socket.pause();
        socket.write(head("GET", path));
        await until(async () => held.accepted.length > 0 && (await held.connections()) === 0);
        assert.equal(held.accepted[0]?.destroyed, true);
        if (path === "/pieces") await until(() => ran.includes("pieces"));
      });
    }

    it("is kept while the answer is being made, and while it has nothing to take", async () => {
      held.server.timeout = 50;
      const { socket, seen } = held.open(head("GET", "/slow"));
      await new Promise((resolve) => setTimeout(resolve, 300));
      release();
      await until(() => seen() !== "");
      assert.deepEqual(statuses(seen()), ["204"]);
      socket.write(head("GET", "/echo/again"));
      await until(() => statuses(seen()).length === 2);
    });
  });

  describe("that announces a body with Expect", () => {
    it("is asked for it once the handler wants it", async () => {
      const { socket, seen } = held.open(head("POST", "/body", "Content-Length: 4", "Expect: 100-continue"));
      await until(() => seen() === "HTTP/1.1 100 Continue\r\n\r\n");
      socket.write("text");
      await until(() => statuses(seen()).length === 2);
      assert.deepEqual([ran, statuses(seen())], [["text"], ["100", "204"]]);
    });

    it("is asked for it only when its turn has come", async () => {
      const text = head("GET", "/slow") + head("POST", "/body", "Content-Length: 4", "Expect: 100-continue");
      const { socket, seen } = held.open(text);
      await until(() => ran.length === 1);
      release();
      await until(() => statuses(seen()).length === 2);
      assert.deepEqual(statuses(seen()), ["204", "100"]);
      socket.write("text");
      await until(() => statuses(seen()).length === 3);
    });

    it("gets a refusal at once in its place", async () => {
      for (const [path, status] of [
        ["/refused", "400"],
        ["/nowhere", "404"],
      ] as const) {
        const { seen } = held.open(head("POST", path, "Content-Length: 4", "Expect: 100-continue"));
        await until(async () => seen() !== "" && (await held.connections()) === 0);
        assert.deepEqual(statuses(seen()), [status]);
        assert.match(seen(), /\r\nConnection: close\r\n/);
      }
    });

    it("is told 417 of any other expectation, and that it ends, also with the body on its way", async () => {
      const text = head("POST", "/body", "Content-Length: 4", "Expect: a-miracle");
      for (const sent of [text, `${text}text`]) {
        const { seen } = held.open(sent);
        await until(async () => seen() !== "" && (await held.connections()) === 0);
        assert.match(seen(), /^HTTP\/1\.1 417 .*\r\nConnection: close\r\n.*"ERR_MALFORMED_REQUEST".*a-miracle/s);
      }
      assert.deepEqual(ran, []);
    });

    it("is not asked in HTTP/1.0, which has no 100", async () => {
      const text = `${head("POST", "/body", "Content-Length: 4", "Expect: 100-continue")}text`;
      const { seen } = held.open(text.replace("HTTP/1.1", "HTTP/1.0"));
      await until(() => seen() !== "");
      assert.deepEqual([ran, statuses(seen())], [["text"], ["204"]]);
    });
  });

  it("is told 400 of a request without a Host, and that it ends; HTTP/1.0 needs none", async () => {
    const { seen } = held.open("GET /echo/a HTTP/1.1\r\n\r\n");
    await until(async () => seen() !== "" && (await held.connections()) === 0);
    assert.match(seen(), /^HTTP\/1\.1 400 .*\r\nConnection: close\r\n.*"ERR_MALFORMED_REQUEST".*Host/s);
    const old = held.open("GET /echo/b HTTP/1.0\r\n\r\n");
    await until(() => old.seen() !== "");
    assert.deepEqual([ran, statuses(old.seen())], [["b"], ["200"]]);
  });
});
