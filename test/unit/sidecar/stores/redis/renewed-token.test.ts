// When a token is asked for, how long it is given out, and who hears of the next one.
import assert from "node:assert/strict";
import { never } from "#kit/clock.ts";
import type { SignIn } from "#sidecar/stores/redis/credentials.ts";
import { RedisError } from "#sidecar/stores/redis/errors.ts";
import { RenewedToken, type Token, type TokenSource } from "#sidecar/stores/redis/renewed-token.ts";
import { listeningLog } from "#test/stores/opening.ts";
import { ManualClock } from "#test/unit/sidecar/resiliency/manual-clock.ts";
import { ScriptedSource } from "./scripted-source.ts";

const SERVER = "redis-0:6379";
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

describe("a renewed token", () => {
  let clock: ManualClock;
  let source: ScriptedSource;
  let tokens: RenewedToken;
  let log: ReturnType<typeof listeningLog>;

  beforeEach(() => {
    clock = new ManualClock();
    source = new ScriptedSource(clock);
    log = listeningLog();
    tokens = new RenewedToken({ source, clock, log, random: { uuid: () => "id", fraction: () => 0 } });
  });
  afterEach(() => tokens.close());

  const now = async (): Promise<string> => (await tokens.current(SERVER, never)).password;

  it("is asked for once by all who want the first one", async () => {
    assert.deepEqual(await Promise.all([now(), now(), now()]), ["token-1", "token-1", "token-1"]);
    assert.equal(source.asked, 1);
  });

  const renewals: [life: string, lifeMs: number, afterMs: number][] = [
    ["an hour", HOUR_MS, 55 * MINUTE_MS],
    ["ten minutes", 10 * MINUTE_MS, 5 * MINUTE_MS],
    ["five minutes", 5 * MINUTE_MS, 2.5 * MINUTE_MS],
    ["one minute", MINUTE_MS, 30_000],
    ["eight seconds", 8_000, 5_000],
    ["one second", 1_000, 5_000],
    ["no time at all", 0, 5_000],
    ["a month", 30 * 24 * HOUR_MS, 24 * HOUR_MS],
  ];
  for (const [life, lifeMs, afterMs] of renewals)
    it(`that is good for ${life} is renewed after ${afterMs / 1000} s, and so is the next one`, async () => {
      source.lifeMs = lifeMs;
      await now();
      await clock.advance(afterMs - 1);
      assert.equal(source.asked, 1);
      await clock.advance(1);
      assert.equal(source.asked, 2);
      await clock.advance(afterMs);
      assert.equal(source.asked, 3);
    });

  it("goes on being given out while the next one cannot be had, and asks ever more seldom", async () => {
    await now();
    source.mood = "fails";
    await clock.advance(55 * MINUTE_MS);
    const pausesMs = [5_000, 10_000, 20_000, 40_000, 60_000];
    for (const [index, pauseMs] of pausesMs.entries()) {
      assert.equal(source.asked, 2 + index);
      assert.equal(await now(), "token-1");
      await clock.advance(pauseMs);
    }
    assert.equal(clock.asked.at(-1), 60_000);
  });

  it("says once that it cannot be renewed, and once more when it could be in between", async () => {
    await now();
    source.mood = "fails";
    await clock.advance(57 * MINUTE_MS);
    assert.deepEqual(log.warnings, [
      `redis: a token cannot be renewed ${JSON.stringify({ source: source.name, error: "no token: it answered 500" })}`,
    ]);
    source.mood = "gives";
    await clock.advance(MINUTE_MS);
    assert.match(await now(), /^token-\d+$/);
    source.mood = "fails";
    await clock.advance(HOUR_MS);
    assert.equal(log.warnings.length, 2);
  });

  it("says nothing of it when a link comes in with the old one meanwhile", async () => {
    const first = await tokens.current(SERVER, never);
    source.mood = "fails";
    await clock.advance(55 * MINUTE_MS);
    tokens.follow(SERVER, first, async () => undefined);
    await clock.advance(MINUTE_MS);
    assert.equal(log.warnings.length, 1);
  });

  it("that has ended is given to nobody: they hear why there is no other", async () => {
    await now();
    source.mood = "fails";
    await clock.advance(HOUR_MS);
    await assert.rejects(now(), { code: "unavailable", message: "no token: it answered 500" });
    source.mood = "gives";
    await clock.advance(MINUTE_MS);
    assert.match(await now(), /^token-\d+$/);
  });

  it("that cannot be had is asked for no more often than every five seconds, however many want it", async () => {
    source.mood = "fails";
    for (let time = 0; time < 3; time++) await assert.rejects(now());
    assert.equal(source.asked, 1);
    await clock.advance(5_000);
    await assert.rejects(now());
    assert.equal(source.asked, 2);
    assert.deepEqual(log.warnings, []);
  });

  it("that was refused is replaced by another one, and not at once again", async () => {
    const first = await tokens.current(SERVER, never);
    assert.equal(tokens.refused(SERVER, first), "the token; check everything");
    assert.equal(await now(), "token-1");
    await clock.advance(5_000);
    assert.equal(await now(), "token-2");
    assert.deepEqual(source.refusals, ["token-1"]);
  });

  it("that was refused gives way to the one that was taken before, while that is good", async () => {
    const first = await tokens.current(SERVER, never);
    tokens.follow(SERVER, first, async (next) => {
      throw new RedisError("unavailable", tokens.refused(SERVER, next) ?? "", { reply: "WRONGPASS" });
    });
    await clock.advance(55 * MINUTE_MS);
    assert.equal(await now(), "token-1");
    await clock.advance(5_000);
    assert.deepEqual(source.refusals, ["token-2", "token-3"]);
    assert.equal(await now(), "token-1");
    await clock.advance(5 * MINUTE_MS);
    assert.notEqual(await now(), "token-1");
  });

  it("before the newest is given to nobody any more once it was refused too", async () => {
    const first = await tokens.current(SERVER, never);
    await clock.advance(55 * MINUTE_MS);
    tokens.refused(SERVER, await tokens.current(SERVER, never));
    tokens.refused(SERVER, first);
    await clock.advance(5_000);
    assert.equal(await now(), "token-3");
  });

  it("is not given up when an older one was refused", async () => {
    const first = await tokens.current(SERVER, never);
    await clock.advance(55 * MINUTE_MS);
    assert.match(tokens.refused(SERVER, first) ?? "", /^an older token of https:/);
    await clock.advance(5_000);
    assert.equal(await now(), "token-2");
    assert.deepEqual(source.refusals, []);
  });

  describe("with links that stand", () => {
    const heard = (): { follow: (used: SignIn) => () => void; passwords: string[]; refuse: boolean } => {
      const link = {
        passwords: [] as string[],
        refuse: false,
        follow: (used: SignIn) =>
          tokens.follow(SERVER, used, async ({ password }) => {
            link.passwords.push(password);
            if (link.refuse) throw new RedisError("unavailable", "redis refused it", { reply: "WRONGPASS" });
          }),
      };
      return link;
    };

    it("tells each of them the next one, and those no more that have ended", async () => {
      const first = await tokens.current(SERVER, never);
      const [one, other] = [heard(), heard()];
      one.follow(first);
      const leave = other.follow(first);
      await clock.advance(55 * MINUTE_MS);
      leave();
      await clock.advance(55 * MINUTE_MS);
      assert.deepEqual([one.passwords, other.passwords], [["token-2", "token-3"], ["token-2"]]);
    });

    it("tells at once the one that signed in with what is no longer the newest", async () => {
      const first = await tokens.current(SERVER, never);
      await clock.advance(55 * MINUTE_MS);
      const late = heard();
      late.follow(first);
      await clock.advance(0);
      assert.deepEqual(late.passwords, ["token-2"]);
    });

    it("tries another one where a server refuses it, with one warning, until it is taken", async () => {
      const first = await tokens.current(SERVER, never);
      const [one, other] = [heard(), heard()];
      one.follow(first);
      other.follow(first);
      other.refuse = true;
      await clock.advance(55 * MINUTE_MS + 15_000);
      assert.deepEqual(other.passwords, ["token-2", "token-3", "token-4"]);
      assert.deepEqual(log.warnings.length, 1);
      other.refuse = false;
      await clock.advance(20_000);
      assert.deepEqual(other.passwords.at(-1), "token-5");
      await clock.advance(54 * MINUTE_MS);
      assert.equal(source.asked, 5);
    });
  });

  it("waits for nobody once the caller has left, or it was closed", async () => {
    source.mood = "is silent";
    const leaving = new AbortController();
    const left = assert.rejects(tokens.current(SERVER, leaving.signal), { code: "closed" });
    leaving.abort();
    await left;
    const closed = assert.rejects(now(), { code: "closed" });
    tokens.close();
    await closed;
    await assert.rejects(now(), { code: "closed" });
    assert.equal(source.asked, 1);
  });

  it("that comes when it was closed is kept by nobody", async () => {
    const late = Promise.withResolvers<Token>();
    const slow: TokenSource = { name: source.name, next: () => late.promise, refused: () => "" };
    const random = { uuid: () => "id", fraction: () => 0 };
    const closed = new RenewedToken({ source: slow, clock, log, random });
    const waiting = assert.rejects(closed.current(SERVER, never), { code: "closed" });
    closed.close();
    late.resolve({ username: "app", password: "late", endsAtMs: HOUR_MS });
    await waiting;
    assert.equal(clock.timers, 0);
  });

  it("leaves no timer behind once it was closed", async () => {
    await now();
    tokens.close();
    assert.equal(clock.timers, 0);
  });
});
