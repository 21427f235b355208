// What goes to Datastore and what is made of its answers: keys that are put off, transactions that are ended, commits that
// have no answer. The emulator answers; a client in between changes what this file is about.
import assert from "node:assert/strict";
import {
  type CommitRequest,
  CommitRequest_Mode,
  type LookupRequest,
  type LookupResponse,
} from "#proto/gen/clients/google/datastore/v1/datastore.ts";
import type { How, Method } from "#sidecar/stores/google/client.ts";
import { GoogleError } from "#sidecar/stores/google/failures.ts";
import { StoreError } from "#sidecar/stores/store.ts";
import { describeWithDatastore } from "#test/servers/datastore.ts";
import { call, etagOf, GoogleClient, onOneServer, read, removal, textOf, upsert, write } from "./fixture.ts";

interface Sent {
  /** "Lookup". */
  readonly method: string;
  readonly message: unknown;
  readonly headers: readonly (readonly [string, string])[];
}

/** Remembers what goes out, and lets a test change what happens to it. */
class Listening extends GoogleClient {
  readonly sent: Sent[] = [];
  /** Runs in place of a call; `send` makes it. */
  instead: (sent: Sent, send: () => Promise<unknown>) => Promise<unknown> = (_sent, send) => send();

  override async ask<I, O>(method: Method<I, O>, message: I, how: How): Promise<O> {
    const sent = { method: method.path.split("/").at(-1) ?? "", message, headers: [...how.headers] };
    this.sent.push(sent);
    return (await this.instead(sent, () => super.ask(method, message, how))) as O;
  }

  get methods(): readonly string[] {
    return this.sent.map(({ method }) => method);
  }
}

const answered = (status: number, details: string, code: StoreError["code"] = "unavailable"): GoogleError =>
  new GoogleError(code, "test", { status, details, ending: "answered" });

describeWithDatastore("the calls to Datastore", () => {
  const { over } = onOneServer();

  function listening(timeoutMs?: number): { readonly store: ReturnType<typeof over>; readonly client: Listening } {
    let client: Listening | null = null;
    const store = over((options) => {
      client = new Listening(options);
      return client;
    }, timeoutMs);
    assert.ok(client !== null);
    return { store, client };
  }

  it("name the project, by which Datastore finds the database", async () => {
    const { store, client } = listening();
    await store.get("a", read, call);
    assert.deepEqual(client.sent[0]?.headers, [
      ["google-cloud-resource-prefix", "projects/test"],
      ["x-goog-request-params", "project_id=test"],
    ]);
    const [{ projectId }] = client.sent.map(({ message }) => message as LookupRequest) as [LookupRequest];
    assert.equal(projectId, "test");
  });

  it("are as few as can be", async () => {
    const { store, client } = listening();
    const called = async (work: () => Promise<unknown> | undefined): Promise<readonly string[]> => {
      client.sent.length = 0;
      await work();
      return client.methods;
    };
    assert.deepEqual(await called(() => store.set(write("few", "1"), call)), ["Commit"]);
    assert.deepEqual(await called(() => store.set(write("few-new", "1", { firstWrite: true }), call)), ["Commit"]);
    const etag = await etagOf(store, "few");
    assert.deepEqual(await called(() => store.set(write("few", "2", { etag }), call)), ["Lookup", "Commit"]);
    assert.deepEqual(await called(() => store.transact?.([upsert("few", "3"), upsert("few2", "3")], call)), ["Commit"]);
    const [{ mode, transactionSelector }] = client.sent.map(({ message }) => message as CommitRequest) as [
      CommitRequest,
    ];
    assert.deepEqual([mode, transactionSelector?.$case], [CommitRequest_Mode.TRANSACTIONAL, "singleUseTransaction"]);
    assert.deepEqual(await called(() => store.remove(removal("few"), call)), ["Commit"]);
    assert.deepEqual(await called(() => store.removeListed?.(["few2", "few-new"], call)), ["Lookup", "Commit"]);
  });

  it("read a thousand keys at a time", async () => {
    const { store, client } = listening();
    const keys = Array.from({ length: 2001 }, (_, index) => `many-${index}`);
    assert.deepEqual(new Set(await store.getMany?.(keys, read, call)), new Set([null]));
    assert.deepEqual(
      client.sent.map(({ message }) => (message as LookupRequest).keys.length),
      [1000, 1000, 1],
    );
  });

  it("are none for a key that can be no name", async () => {
    const { store, client } = listening();
    const long = "k".repeat(1501);
    assert.deepEqual(await store.getMany?.(["__a__", "", long], read, call), [null, null, null]);
    await assert.rejects(store.remove(removal(long), call), { code: "refused", message: /^a key of 1501 bytes, want/ });
    assert.deepEqual(client.methods, []);
  });

  it("delete what a walk told five hundred at a time", async () => {
    const { store, client } = listening();
    const keys = Array.from({ length: 501 }, (_, index) => `told-${index}`);
    await store.transact?.(
      keys.slice(0, 500).map((key) => upsert(key, "1")),
      call,
    );
    client.sent.length = 0;
    assert.equal(await store.removeListed?.(keys, call), 500);
    // Of the last one nothing is there: no commit.
    assert.deepEqual(client.methods, ["Lookup", "Commit", "Lookup", "Rollback"]);
    assert.equal(client.sent.map(({ message }) => message as CommitRequest)[1]?.mutations.length, 500);
  });

  it("ask again for keys that were put off, in the same transaction", async () => {
    const { store, client } = listening();
    for (const key of ["d1", "d2", "d3"]) await store.set(write(key, key), call);
    // Of each answer one entity only; the rest is put off.
    client.instead = async (sent, send) => {
      const answer = await send();
      if (sent.method !== "Lookup") return answer;
      const { found, transaction } = answer as LookupResponse;
      const deferred = found.slice(1).flatMap(({ entity }) => entity?.key ?? []);
      return { found: found.slice(0, 1), deferred, transaction };
    };
    client.sent.length = 0;
    const many = (await store.getMany?.(["d1", "d2", "none", "d3"], read, call)) ?? [];
    const texts = many.map((each) => (each === null || each instanceof StoreError ? each : String(each.bytes)));
    assert.deepEqual(
      texts,
      ["d1", "d2", "none", "d3"].map((key) => (key === "none" ? null : String(Buffer.from(key)))),
    );
    assert.deepEqual(client.methods, ["Lookup", "Lookup", "Lookup"]);
    client.sent.length = 0;
    assert.equal(await store.removeListed?.(["d1", "d2", "d3"], call), 3);
    const options = client.sent.map(({ message }) => (message as LookupRequest).readOptions?.consistencyType?.$case);
    assert.deepEqual(options, ["newTransaction", "transaction", "transaction", undefined]);
  });

  it("give a transaction up whose lookup fails half way", async () => {
    const { store, client } = listening();
    for (const key of ["h1", "h2"]) await store.set(write(key, key), call);
    let lookups = 0;
    client.instead = async (sent, send) => {
      if (sent.method !== "Lookup") return send();
      if (++lookups === 2) throw answered(8, "quota");
      const { found, transaction } = (await send()) as LookupResponse;
      return {
        found: found.slice(0, 1),
        deferred: found.slice(1).flatMap(({ entity }) => entity?.key ?? []),
        transaction,
      };
    };
    client.sent.length = 0;
    await assert.rejects(async () => store.removeListed?.(["h1", "h2"], call), { code: "unavailable" });
    assert.deepEqual(client.methods, ["Lookup", "Lookup", "Rollback"]);
  });

  it("end where every key is put off", async () => {
    const { store, client } = listening();
    client.instead = async ({ message }) => ({
      found: [],
      deferred: (message as LookupRequest).keys,
      transaction: new Uint8Array(0),
    });
    await assert.rejects(store.get("a", read, call), { code: "unavailable", message: /put off every key/ });
    assert.equal(client.sent.length, 1);
  });

  it("begin a transaction again that was ended, and name the one before unless Datastore does not know it", async () => {
    const { store, client } = listening();
    await store.set(write("again", "1"), call);
    const etag = await etagOf(store, "again");
    const endings = [answered(10, "contention"), answered(3, "Invalid transaction.")];
    client.instead = (sent, send) => {
      const ending = sent.method === "Commit" ? endings.shift() : undefined;
      return ending === undefined ? send() : Promise.reject(ending);
    };
    client.sent.length = 0;
    await store.set(write("again", "2", { etag }), call);
    assert.deepEqual(client.methods, ["Lookup", "Commit", "Lookup", "Commit", "Lookup", "Commit"]);
    const before = client.sent.map(({ message }) => {
      const type = (message as LookupRequest).readOptions?.consistencyType;
      return type?.$case === "newTransaction" ? type.newTransaction.mode?.readWrite.previousTransaction.length : null;
    });
    assert.deepEqual([before[0], before[2] !== 0, before[4]], [0, true, 0]);
    assert.equal(await textOf(store, "again"), "2");
  });

  it("try so until the time is up, and then say what it was", async () => {
    const { store, client } = listening(300);
    client.instead = (sent, send) => (sent.method === "Commit" ? Promise.reject(answered(10, "contention")) : send());
    await assert.rejects(store.set(write("contended", "1"), call), { code: "unavailable", message: "test" });
    assert.ok(client.sent.length > 2, `${client.sent.length} attempts`);
    assert.equal(await textOf(store, "contended"), null);
  });

  it("give a transaction up whose conditions do not hold", async () => {
    const { store, client } = listening();
    await store.set(write("up", "1"), call);
    client.sent.length = 0;
    await assert.rejects(store.set(write("up", "2", { etag: "1" }), call), { code: "etag-mismatch" });
    assert.deepEqual(client.methods, ["Lookup", "Rollback"]);
  });

  it("say which change of a transaction does not hold", async () => {
    const { store } = listening();
    await store.set(write("which", "1"), call);
    for (const [more, message] of [
      [{ firstWrite: true }, /^change 2 of 2: item already exists/],
      [{ etag: "1" }, /^change 2 of 2: the value has another etag/],
    ] as const) {
      const changes = [upsert("which-not", "1"), upsert("which", "2", more)];
      await assert.rejects(async () => store.transact?.(changes, call), { code: "etag-mismatch", message });
    }
    const gone = [upsert("which-none", "1", { etag: "1" }), upsert("which", "2")];
    await assert.rejects(async () => store.transact?.(gone, call), { message: /^change 1 of 2: there is no value/ });
    assert.equal(await textOf(store, "which"), "1");
  });

  it("send no commit twice whose answer was lost", async () => {
    const { store, client } = listening();
    await store.set(write("lost", "1"), call);
    const etag = await etagOf(store, "lost");
    const lost = { status: 14, details: "", ending: "lost" } as const;
    client.instead = async (sent, send) => {
      await send();
      throw new GoogleError(sent.method === "Commit" ? "unknown-outcome" : "unavailable", "lost", lost);
    };
    client.sent.length = 0;
    await assert.rejects(store.set(write("lost", "2"), call), { code: "unknown-outcome" });
    assert.deepEqual(client.methods, ["Commit"]);
    // A read that was lost is made once more, and no oftener.
    client.sent.length = 0;
    await assert.rejects(store.get("lost", read, call), { code: "unavailable" });
    assert.deepEqual(client.methods, ["Lookup", "Lookup"]);
    client.sent.length = 0;
    await assert.rejects(store.set(write("lost", "3", { etag }), call), { code: "unavailable" });
    assert.deepEqual(client.methods, ["Lookup", "Lookup"]);
    client.instead = (_sent, send) => send();
    assert.equal(await textOf(store, "lost"), "2");
  });

  it("are not committed outside of a transaction that the lookup did not begin", async () => {
    const { store, client } = listening();
    client.instead = async (sent, send) => ({ ...((await send()) as object), transaction: new Uint8Array(0), sent });
    await assert.rejects(store.set(write("unbound", "1", { etag: "1" }), call), {
      code: "failed",
      message: /began no transaction$/,
    });
    assert.deepEqual(client.methods, ["Lookup"]);
  });

  const meanings: [status: number, details: string, code: StoreError["code"], message: RegExp][] = [
    [5, "The project test does not exist or it does not contain an active database.", "unavailable", /has no database/],
    [
      9,
      "The Cloud Datastore API is not available for a database in Firestore Native mode",
      "unavailable",
      /Native mode;/,
    ],
    [3, "The value of property x is longer than 1500 bytes.", "refused", /takes no request of this size/],
    [3, "s3cr3t key", "failed", /^test$/],
  ];
  for (const [status, details, code, message] of meanings) {
    it(`say of "${details.slice(0, 40)}" what it means, in words of ours`, async () => {
      const { store, client } = listening();
      client.instead = () => Promise.reject(answered(status, details, "failed"));
      await assert.rejects(store.set(write("a", "1"), call), { code, message });
      await assert.rejects(store.set(write("a", "1"), call), (error: Error) => !error.message.includes("s3cr3t"));
    });
  }
});
