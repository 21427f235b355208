// A connection that is not wanted any more, because its server is no master by now.
import assert from "node:assert/strict";
import { systemClock } from "#kit/clock.ts";
import { systemRandom } from "#kit/random.ts";
import { Connection } from "#sidecar/stores/redis/connection.ts";
import { freePort } from "#test/servers/free-port.ts";
import { describeWithRedis } from "#test/servers/redis.ts";
import { call, linkOptions, listeningLog, onServersOfItsOwn } from "./fixture.ts";

const READ_MS = 2_000;
const repeatable = { code: "unavailable", repeatable: true, message: /is gone/ };

describeWithRedis("a retired connection to Redis", () => {
  const { start } = onServersOfItsOwn();
  const options = (port: number): Parameters<typeof Connection.open>[0] => ({
    link: linkOptions(port, READ_MS),
    find: null,
    onTrouble: null,
    server: `127.0.0.1:${port}`,
    retry: { retries: 0, minMs: 0, maxMs: 0 },
    clock: systemClock,
    random: systemRandom,
    log: listeningLog(),
  });

  it("answers what it was asked, and lets what comes later be repeated elsewhere", async () => {
    const server = await start();
    const connection = await Connection.open(options(server.port), call.signal);
    const { current } = connection;
    const extra = await connection.extra(READ_MS);
    const sent = [current, extra].map((link) => link?.call("write", "incr", ["n"]));
    connection.retire();
    assert.deepEqual((await Promise.all(sent)).map(Number).toSorted(), [1, 2]);
    assert.equal(connection.current, null);
    await assert.rejects(connection.next(call.signal), repeatable);
    await assert.rejects(connection.extra(READ_MS), repeatable);
    await Promise.all([current?.ended, extra.ended]);
  });

  it("lets those who wait for it try elsewhere, and connects no more", async () => {
    const connection = Connection.start(options(await freePort()));
    const waiting = connection.next(call.signal);
    connection.retire();
    await assert.rejects(waiting, repeatable);
    connection.close();
    await assert.rejects(connection.next(call.signal), repeatable);
  });
});
