// One connection: how much may wait for its answers, what counts as a refusal, and what a caller learns when it breaks at an awkward moment.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { never } from "#kit/clock.ts";
import { fixedCredentials, type SignIn } from "#sidecar/stores/redis/credentials.ts";
import { Link } from "#sidecar/stores/redis/link.ts";
import { startImpostor } from "#test/servers/impostor.ts";
import { describeWithRedis, type RedisServer } from "#test/servers/redis.ts";
import { call, etagOf, eventually, linkOptions, onServersOfItsOwn, openLink, write } from "./fixture.ts";

const IN_FLIGHT_MAX = 100_000;
/** What was written to a socket of this machine has come to its other end after this long. */
const ARRIVAL_MS = 50;

describeWithRedis("a connection to Redis", () => {
  const { start, open, keep } = onServersOfItsOwn();

  it("refuses more than 100,000 commands without an answer, and takes more once they are answered", async () => {
    const server = await start();
    const link = await openLink(server.port, 60_000);
    keep(link, async () => link.close("closed"));
    const ping = (): Promise<unknown> => link.call("read", "ping", []);
    server.pause();
    const waiting = Array.from({ length: IN_FLIGHT_MAX }, ping);
    await assert.rejects(ping(), { code: "unavailable", message: /too slow: 100000 commands wait/ });
    server.resume();
    await Promise.all(waiting);
    await ping();
  });

  it("is told of new passwords until its end, whoever ends it", async () => {
    const server = await start();
    const following = new Set<string>();
    const linkAs = (name: string): Promise<Link> => {
      const follow = (): (() => void) => {
        following.add(name);
        return () => void following.delete(name);
      };
      const credentials = { ...fixedCredentials({ username: "", password: "" }), follow };
      return Link.open({ ...linkOptions(server.port, 60_000), credentials }, never);
    };
    const [ours, theirs] = [await linkAs("ours"), await linkAs("theirs")];
    keep(theirs, async () => theirs.close("closed"));
    assert.deepEqual([...following], ["ours", "theirs"]);
    ours.close("closed");
    await eventually(async () => assert.deepEqual([...following], ["theirs"]));
    await server.stop();
    await eventually(async () => assert.deepEqual([...following], []));
  });

  const answers: [answer: string, refused: boolean, message: RegExp][] = [
    [
      "WRONGPASS invalid username-password pair or user is disabled.",
      true,
      /^redis at [\d.:]+ refused the token; look$/,
    ],
    ["ERR invalid password", true, /^redis at [\d.:]+ refused the token; look$/],
    ["ERR the token was revoked", true, /answered: ERR the token was revoked; it refused the token; look$/],
    ["DENIED", true, /answered: DENIED; it refused the token; look$/],
    ["LOADING Redis is loading the dataset in memory", false, /is still loading its data$/],
    ["ERR max number of clients reached", false, /has no free connection/],
  ];
  for (const [answer, isRefusal, message] of answers)
    it(`${isRefusal ? "takes" : "does not take"} "${answer}" for a refusal of what it signs in with`, async () => {
      const impostor = await startImpostor({ answer: `-${answer}\r\n` });
      const signIn = { username: "app", password: "token-1" };
      const refused: unknown[] = [];
      const credentials = {
        ...fixedCredentials(signIn),
        refused: (server: string, given: SignIn) => {
          refused.push(server, given);
          return "the token; look";
        },
      };
      try {
        const port = Number(impostor.address.split(":")[1]);
        const opening = Link.open({ ...linkOptions(port, 60_000), credentials }, never);
        await assert.rejects(opening, { code: "unavailable", message });
        assert.deepEqual(refused, isRefusal ? [impostor.address, signIn] : []);
      } finally {
        await impostor.stop();
      }
    });

  it("is not made for somebody who has left", async () => {
    const server = await start();
    await assert.rejects(Link.open(linkOptions(server.port, 60_000), AbortSignal.abort()), { code: "closed" });
  });

  it("says unknown of a write that leaves while the connection breaks, and does not send it again", async () => {
    const server = await start();
    const way = await startWay(server);
    const store = await open(way.port);
    await store.set(write("k", "1"), call);
    const [client] = way.clients;
    assert.ok(client !== undefined);
    // A write waits for the end of the event loop's turn, to leave with others. Begun where one turn ends, it waits a
    // whole one: what breaks the connection is read first, and the write leaves on the way out.
    await new Promise((resolve) => setImmediate(resolve));
    const writing = store.set(write("k", "2"), call);
    client.write("no answer of Redis\r\n");
    standStill(ARRIVAL_MS);
    await assert.rejects(writing, { code: "unknown-outcome", message: /the write may have happened/ });
    await eventually(async () => assert.equal(await etagOf(store, "k"), "2"));
  });

  /** A way to the server on which a test can put in words of its own. */
  async function startWay(server: RedisServer): Promise<{ readonly port: number; readonly clients: Socket[] }> {
    const clients: Socket[] = [];
    const ends = new Set<Socket>();
    const way = createServer({ allowHalfOpen: true }, (client) => {
      const upstream = connect(server.port, server.host);
      clients.push(client);
      for (const socket of [client, upstream]) ends.add(socket.on("error", () => socket.destroy()));
      client.pipe(upstream).pipe(client);
    });
    way.listen(0, "127.0.0.1");
    await once(way, "listening");
    keep(way, async () => {
      for (const socket of ends) socket.destroy();
      way.close();
      await once(way, "close");
    });
    return { port: (way.address() as AddressInfo).port, clients };
  }

  function standStill(ms: number): void {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  }
});
