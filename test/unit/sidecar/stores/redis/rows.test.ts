// Reads between whose commands another client writes, and the spelling of versions.
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Redis } from "ioredis";
import { systemClock } from "#kit/clock.ts";
import type { Link } from "#sidecar/stores/redis/link.ts";
import { canonicalVersion, type RowLink, readRow } from "#sidecar/stores/redis/rows.ts";
import { describeWithRedis, type RedisServer } from "#test/servers/redis.ts";
import { onOneServer, openLink } from "./fixture.ts";

describeWithRedis("a read of Redis between whose commands another client writes", () => {
  let server: RedisServer;
  let plain: Redis;
  let link: Link;
  onOneServer((opened) => {
    ({ server, plain } = opened);
  });
  beforeEach(async () => {
    link = await openLink(server.port, 5_000);
  });
  afterEach(() => link.close("closed"));

  /** The link itself, one command at a time, with `meanwhile` run between each command and the next. */
  function interrupted(
    meanwhile: (commandsDone: number) => Promise<unknown>,
  ): RowLink & { readonly commands: string[] } {
    const commands: string[] = [];
    let last: Promise<unknown> = Promise.resolve();
    return {
      commands,
      expiryCommand: link.expiryCommand,
      hasJson: link.hasJson,
      call(effect, name, args) {
        const answer = last.then(() => link.call(effect, name, args));
        const number = commands.push(name);
        last = answer.catch(() => null).then(() => meanwhile(number));
        return answer;
      },
    };
  }

  it("finds a key that is created between its two commands", async () => {
    const between = interrupted(async (done) => done === 1 && plain.hset("k", "data", "new", "version", "1"));
    const found = await readRow(between, "k", systemClock);
    assert.deepEqual(found, { bytes: Buffer.from("new"), etag: "1", expiresAtMs: null });
  });

  it("finds nothing when the key is deleted between them", async () => {
    await plain.hset("k", "data", "old", "version", "1");
    const between = interrupted(async (done) => done === 1 && plain.del("k"));
    assert.equal(await readRow(between, "k", systemClock), null);
  });

  it("finds the row that replaces an early Dapr's string meanwhile", async () => {
    await plain.set("k", "old");
    const between = interrupted(
      async (done) => done === 2 && plain.multi().del("k").hset("k", "data", "new", "version", "1").exec(),
    );
    assert.equal((await readRow(between, "k", systemClock))?.etag, "1");
  });

  it("calls a hash without the fields corrupt after a second look, and looks no further", async () => {
    await plain.hset("k", "other", "1");
    const between = interrupted(async () => null);
    await assert.rejects(readRow(between, "k", systemClock), { code: "corrupt", message: /'data' or 'version'/ });
    assert.deepEqual(between.commands, ["hmget", "pexpiretime", "hmget", "pexpiretime"]);
  });
});

describe("the version that an ETag names", () => {
  const table: [etag: string, version: string | null][] = [
    ["1", "1"],
    ["0", "0"],
    ["007", "7"],
    ["+7", "7"],
    ["-7", "-7"],
    ["-0", "0"],
    ["000", "0"],
    ["9007199254740993", "9007199254740993"],
    ["9223372036854775807", "9223372036854775807"],
    ["92233720368547758070", null],
    ["", null],
    ["-", null],
    ["1.0", null],
    ["1e3", null],
    ['"1"', null],
    [" 1", null],
    ["٣", null],
    ["b6f2d1aa-5b4c-4f0e-9d2e-111111111111", null],
  ];
  for (const [etag, version] of table) {
    it(`is ${version} for ${JSON.stringify(etag)}`, () => {
      assert.equal(canonicalVersion(etag), version);
    });
  }

  it("is the number's own spelling for every whole number of up to 19 digits, however it is written", () => {
    const largest = 10n ** 19n - 1n;
    const parts = fc.tuple(fc.bigInt({ min: -largest, max: largest }), fc.integer({ min: 0, max: 4 }), fc.boolean());
    fc.assert(
      fc.property(parts, ([number, zeros, plus]) => {
        const digits = "0".repeat(zeros) + String(number < 0n ? -number : number);
        const sign = number < 0n ? "-" : plus ? "+" : "";
        assert.equal(canonicalVersion(sign + digits), String(number));
      }),
    );
  });
});
