// What becomes of a token that a server refuses: for that server, for the others, and until it takes it after all.
import assert from "node:assert/strict";
import { never } from "#kit/clock.ts";
import type { SignIn } from "#sidecar/stores/redis/credentials.ts";
import { RedisError } from "#sidecar/stores/redis/errors.ts";
import { RenewedToken } from "#sidecar/stores/redis/renewed-token.ts";
import { listeningLog } from "#test/stores/opening.ts";
import { ManualClock } from "#test/unit/sidecar/resiliency/manual-clock.ts";
import { ScriptedSource } from "./scripted-source.ts";

const [A, B] = ["redis-0:6379", "redis-1:6379"];
const MINUTE_MS = 60_000;
const RENEWAL_MS = 55 * MINUTE_MS;
const PAUSE_MS = 5_000;

describe("a token that a server refuses", () => {
  let clock: ManualClock;
  let source: ScriptedSource;
  let tokens: RenewedToken;
  let log: ReturnType<typeof listeningLog>;
  let infos: string[];
  let fraction: number;

  beforeEach(() => {
    clock = new ManualClock();
    source = new ScriptedSource(clock);
    infos = [];
    fraction = 0;
    log = { ...listeningLog(), info: (message) => void infos.push(message) };
    tokens = new RenewedToken({ source, clock, log, random: { uuid: () => "id", fraction: () => fraction } });
  });
  afterEach(() => tokens.close());

  const at = async (server: string): Promise<string> => (await tokens.current(server, never)).password;
  const refuse = async (server: string): Promise<void> => {
    tokens.refused(server, await tokens.current(server, never));
  };

  /** A link, as far as it has to do with tokens; it takes those that `refuses` does not name. */
  function link(server: string, used: SignIn, refuses: (password: string) => boolean): { told: string[]; end(): void } {
    const told: string[] = [];
    const end = tokens.follow(server, used, async (next) => {
      told.push(next.password);
      if (refuses(next.password))
        throw new RedisError("unavailable", tokens.refused(server, next) ?? "", { reply: "WRONGPASS" });
    });
    return { told, end };
  }

  it("is what the other servers sign in with all the same", async () => {
    await refuse(A);
    await clock.advance(PAUSE_MS);
    assert.equal(await at(B), "token-1");
    assert.equal(source.asked, 1);
    assert.equal(await at(A), "token-2");
    await refuse(B);
    assert.equal(await at(B), "token-1");
  });

  it("is tried there again while no other can be had, until it has ended", async () => {
    await refuse(A);
    source.mood = "fails";
    for (let time = 0; time < 5; time++) {
      await clock.advance(MINUTE_MS);
      assert.equal(await at(A), "token-1");
    }
    assert.ok(source.asked > 5);
    await clock.advance(55 * MINUTE_MS);
    await assert.rejects(at(A), { message: "no token: it answered 500" });
  });

  it("is tried again before the older one that was refused as well", async () => {
    await at(A);
    await clock.advance(RENEWAL_MS);
    await refuse(A);
    await refuse(A);
    assert.deepEqual(source.refusals, ["token-2"]);
    source.mood = "fails";
    await clock.advance(PAUSE_MS);
    assert.equal(await at(A), "token-2");
  });

  it("gives way to the one before it also where it was given once more, after the refusal or before", async () => {
    await refuse(B);
    source.lifeMs = MINUTE_MS;
    await clock.advance(PAUSE_MS);
    assert.equal(await at(B), "token-2");
    source.mood = "repeats";
    await clock.advance(MINUTE_MS);
    assert.ok(source.asked > 2);
    await refuse(A);
    assert.equal(await at(A), "token-1");
    const before = source.asked;
    await clock.advance(MINUTE_MS);
    assert.ok(source.asked > before);
    assert.equal(await at(A), "token-1");
  });

  it("is as good as any once the server has taken it, and nobody is asked for another", async () => {
    source.mood = "repeats";
    await refuse(A);
    await clock.advance(PAUSE_MS);
    const taken = await tokens.current(A, never);
    assert.equal(source.asked, 2);
    link(A, taken, () => false);
    await clock.advance(PAUSE_MS);
    assert.equal(await at(A), taken.password);
    assert.equal(source.asked, 2);
  });

  it("is as good as any once a link that stands has taken it, which is told", async () => {
    const first = await tokens.current(A, never);
    let isKnown = false;
    const { told } = link(A, first, () => !isKnown);
    await clock.advance(RENEWAL_MS);
    source.mood = "repeats";
    isKnown = true;
    await clock.advance(PAUSE_MS);
    assert.deepEqual(told, ["token-2", "token-2"]);
    assert.deepEqual([log.warnings.length, infos], [1, ["redis: tokens are renewed again"]]);
    await clock.advance(PAUSE_MS);
    assert.equal(await at(A), "token-2");
    assert.equal(source.asked, 3);
  });

  it("is not yet renewed for one server when another one has taken it", async () => {
    const first = await tokens.current(A, never);
    const { end } = link(A, first, () => true);
    await clock.advance(RENEWAL_MS);
    end();
    link(B, await tokens.current(B, never), () => false);
    await clock.advance(0);
    assert.deepEqual(infos, []);
    link(A, { username: "app", password: "token-2" }, () => false);
    await clock.advance(0);
    assert.deepEqual(infos, ["redis: tokens are renewed again"]);
  });

  it("is not renewed while a link has another one", async () => {
    const first = await tokens.current(A, never);
    const answer = Promise.withResolvers<void>();
    source.mood = "fails";
    await clock.advance(RENEWAL_MS);
    tokens.follow(A, first, () => answer.promise);
    source.mood = "gives";
    await clock.advance(PAUSE_MS);
    link(B, await tokens.current(B, never), () => false);
    await clock.advance(0);
    assert.deepEqual(infos, []);
    answer.resolve();
    await clock.advance(0);
    assert.deepEqual(infos, ["redis: tokens are renewed again"]);
  });

  it("is one failure, however many links come in with the one before it", async () => {
    const first = await tokens.current(A, never);
    link(A, first, () => true);
    await clock.advance(RENEWAL_MS);
    const before = source.asked;
    for (let passedMs = 0; passedMs < 255_000; passedMs += 3_000) {
      const { end } = link(A, first, () => true);
      await clock.advance(3_000);
      end();
    }
    // After 5, 10, 20, 40, and three times 60 seconds.
    assert.equal(source.asked - before, 7);
  });

  it("is replaced no later than it would be if all had taken it", async () => {
    source.lifeMs = MINUTE_MS;
    link(A, await tokens.current(A, never), () => true);
    for (const [index, pauseMs] of [30_000, 5_000, 10_000, 20_000, 30_000, 30_000].entries()) {
      await clock.advance(pauseMs - 1);
      assert.equal(source.asked, index + 1);
      await clock.advance(1);
      assert.equal(source.asked, index + 2);
    }
  });

  it("is replaced after a pause that chance makes longer by up to a half", async () => {
    link(A, await tokens.current(A, never), () => true);
    fraction = 0.5;
    await clock.advance(RENEWAL_MS);
    assert.equal(clock.asked.at(-1), 1.25 * PAUSE_MS);
  });

  it("is no failure where the refusal comes after the next one", async () => {
    const first = await tokens.current(A, never);
    const late = Promise.withResolvers<void>();
    tokens.follow(A, first, ({ password }) => (password === "token-2" ? late.promise : Promise.resolve()));
    await clock.advance(2 * RENEWAL_MS);
    assert.equal(source.asked, 3);
    late.reject(new RedisError("unavailable", "refused", { reply: "WRONGPASS" }));
    await clock.advance(54 * MINUTE_MS);
    assert.deepEqual([source.asked, log.warnings], [3, []]);
  });

  it("is asked about once, also where the refusal comes while another one is waited for", async () => {
    const first = await tokens.current(A, never);
    const late = Promise.withResolvers<void>();
    tokens.follow(A, first, () => late.promise);
    await clock.advance(RENEWAL_MS);
    for (const password of ["token-1", "token-2"]) tokens.refused(B, { username: "app", password });
    source.mood = "is silent";
    await clock.advance(PAUSE_MS);
    const waiting = assert.rejects(at(B), { code: "closed" });
    assert.equal(source.asked, 3);
    late.reject(new RedisError("unavailable", "refused", { reply: "WRONGPASS" }));
    await clock.advance(2 * PAUSE_MS);
    assert.equal(source.asked, 3);
    tokens.close();
    await waiting;
  });

  it("that is given once more is not sent to a link that has it", async () => {
    const { told } = link(A, await tokens.current(A, never), () => false);
    await clock.advance(RENEWAL_MS);
    source.mood = "repeats";
    await clock.advance(RENEWAL_MS);
    assert.deepEqual([told, source.asked], [["token-2"], 3]);
  });

  it("is sent to nobody once all is closed", async () => {
    const first = await tokens.current(A, never);
    await clock.advance(RENEWAL_MS);
    tokens.close();
    const { told } = link(A, first, () => false);
    await clock.advance(0);
    assert.deepEqual(told, []);
  });
});
