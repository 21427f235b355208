import assert from "node:assert/strict";
import { CHECK_MS, RETRY_MS, SecretWatch } from "#operator/components/secret-watch.ts";
import type { KubeClient } from "#operator/kube/client.ts";
import { ManualClock, settle } from "#test/unit/sidecar/resiliency/manual-clock.ts";
import { kubeError } from "./bench.ts";

const OWNER = "shop/orders";

describe("SecretWatch", () => {
  let clock: ManualClock;
  /** Answers that are asked for and not given yet. */
  let asked: PromiseWithResolvers<unknown>[];
  let news: () => void;
  let told: string[];
  let watch: SecretWatch;

  beforeEach(() => {
    [clock, asked, told] = [new ManualClock(), [], []];
    const client: KubeClient = {
      request: <T>() => {
        const answer = Promise.withResolvers<unknown>();
        asked.push(answer);
        return answer.promise as Promise<T>;
      },
      stream: () => Promise.reject(new Error("not asked for")),
      close: () => undefined,
    };
    const follow = (_namespace: string, _name: string, changed: () => void) => {
      news = changed;
      return () => undefined;
    };
    watch = new SecretWatch({ client, follow, clock, random: { fraction: () => 0, uuid: () => "" } });
    watch.onChange((owner) => told.push(owner));
    watch.refer(OWNER, "shop", ["redis"]);
  });
  afterEach(() => watch.close());

  const answer = async (password: string): Promise<void> => {
    asked.shift()?.resolve({ data: { password } });
    await settle();
  };
  const refuse = async (): Promise<void> => {
    asked.shift()?.reject(kubeError(403));
    await settle();
  };
  const reading = () => watch.get("shop", "redis");

  it("knows nothing before the first answer, and tells of that", async () => {
    assert.equal(reading(), null);
    await answer("one");
    assert.deepEqual(reading(), { outcome: "found", data: { password: "one" } });
    assert.deepEqual(told, [OWNER]);
  });

  it("asks once more when news comes while it asks", async () => {
    await answer("one");
    news();
    news();
    assert.equal(asked.length, 1);
    await answer("two");
    assert.equal(asked.length, 1);
    await answer("three");
    assert.deepEqual([reading(), asked.length], [{ outcome: "found", data: { password: "three" } }, 0]);
  });

  it("tells nobody of an equal answer", async () => {
    await answer("one");
    news();
    await answer("one");
    assert.deepEqual(told, [OWNER]);
  });

  it("tells every owner, and of one that joined later only what is news", async () => {
    await answer("one");
    watch.refer("shop/carts", "shop", ["redis"]);
    assert.deepEqual([asked.length, told.length], [0, 1]);
    news();
    await answer("two");
    assert.deepEqual(told.slice(1).sort(), ["shop/carts", OWNER]);
  });

  it("looks by itself now and then, for what a watch may miss", async () => {
    await answer("one");
    await clock.advance(CHECK_MS);
    await answer("two");
    assert.deepEqual(reading(), { outcome: "found", data: { password: "two" } });
  });

  it("leaves nothing behind when nobody refers to it any more", async () => {
    await answer("one");
    watch.refer(OWNER, "shop", []);
    assert.deepEqual([reading(), clock.timers], [null, 0]);
  });

  it("follows nothing for a reconcile that ends after it was closed", () => {
    watch.close();
    const before = asked.length;
    watch.refer(OWNER, "shop", ["redis"]);
    assert.equal(asked.length, before);
  });

  it("forgets what was under way when nobody wants it any more", async () => {
    watch.refer(OWNER, "shop", []);
    await answer("one");
    assert.deepEqual([reading(), told, clock.timers], [null, [], 0]);
  });

  it("waits longer for each Secret in trouble, of those that somebody still refers to", async () => {
    await refuse();
    const aloneMs = clock.asked.at(-1) ?? 0;
    watch.refer("shop/a", "shop", ["a"]);
    await refuse();
    assert.ok((clock.asked.at(-1) ?? 0) > aloneMs && aloneMs >= RETRY_MS);
    watch.refer("shop/b", "shop", ["b"]);
    watch.refer("shop/a", "shop", []);
    watch.refer("shop/b", "shop", []);
    await refuse();
    await clock.advance(aloneMs);
    await refuse();
    assert.equal(clock.asked.at(-1), aloneMs);
  });
});
