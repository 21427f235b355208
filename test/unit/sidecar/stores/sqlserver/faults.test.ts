// What a failing server, network or caller comes to: codes that keep their word on what was written, in time, and recovery
// without a new open. tedious speaks TDS to a server of ours that fails as it is told.
import assert from "node:assert/strict";
import type { StoreError, StoreErrorCode } from "#sidecar/stores/store.ts";
import { type TdsAnswer, type TdsRequest, TdsServer } from "#test/servers/tds/tds-server.ts";
import {
  type Bench,
  type BenchOptions,
  call,
  columnsAnswer,
  connectionTo,
  deletion,
  ETAG,
  eventually,
  listeningLog,
  METADATA,
  openBench,
  openStore,
  read,
  removal,
  transact,
  upsert,
  V1,
  write,
} from "./fixture.ts";

const SHORT = { timeoutInSeconds: "3" };

describe("a failing SQL Server", () => {
  let bench: Bench | null = null;
  let answer: (request: TdsRequest) => TdsAnswer | null = () => null;

  async function open(options: BenchOptions = {}): Promise<Bench> {
    bench = await openBench({ answer: (request) => answer(request), ...options });
    return bench;
  }
  beforeEach(() => {
    answer = () => null;
  });
  afterEach(async () => {
    await bench?.stop();
    bench = null;
  });

  const caught = async (promise: Promise<unknown>): Promise<StoreError> =>
    promise.then(
      () => assert.fail("it succeeded"),
      (error: StoreError) => error,
    );

  const NUMBERS: readonly (readonly [number, StoreErrorCode, RegExp])[] = [
    [2627, "refused", /takes another row that is there for the same/],
    [2601, "refused", /takes another row that is there for the same/],
    [1222, "timeout", /kept a row locked .* nothing was written/],
    [208, "unavailable", /no such table/],
    [229, "unavailable", /does not give this user the rights/],
    [3906, "unavailable", /takes no writes/],
    [1105, "unavailable", /no space left/],
    [9002, "unavailable", /no space left/],
    [13609, "refused", /indexed property/],
    [8152, "refused", /of this length/],
    [207, "corrupt", /other columns/],
    [50_000, "failed", /refused the statement/],
  ];
  for (const [number, code, text] of NUMBERS)
    it(`answers error ${number} with ${code}, the server's name and no word of its own`, async () => {
      const { store, server } = await open();
      answer = () => ({ error: { number, text: "The duplicate key value is (secret-key)." } });
      const error = await caught(store.set(write("k", "1"), call));
      assert.equal(error.code, code);
      assert.match(error.message, text);
      assert.match(error.message, new RegExp(`sqlserver at 127.0.0.1:${server.port} .*error ${number}`));
      assert.doesNotMatch(error.message, /secret/);
      answer = () => null;
      await store.set(write("k", "1"), call);
    });

  it("tries a deadlock's victim again, over the whole transaction, and gives up in the end", async () => {
    const { store, requests } = await open();
    let deadlocks = 2;
    answer = ({ text }) =>
      text.startsWith("UPDATE") && deadlocks-- > 0 ? { error: { number: 1205, severity: 13 } } : null;
    await transact(store, [upsert("a", "1"), upsert("b", "2")]);
    const kinds = requests().map(({ kind }) => kind);
    // The server has rolled back by itself each time.
    assert.deepEqual(kinds, ["begin", "call", "call", "begin", "call", "call", "begin", "call", "call", "commit"]);
    answer = ({ kind }) => (kind === "call" ? { error: { number: 1205, severity: 13 } } : null);
    const error = await caught(store.set(write("a", "1"), call));
    assert.deepEqual([error.code, /end a deadlock/.test(error.message)], ["unavailable", true]);
  });

  it("leaves nothing of a transaction open when a step fails: it is rolled back before the error is told", async () => {
    const { store, requests } = await open();
    answer = ({ text }) => (text.startsWith("DELETE") ? { error: { number: 50_000 } } : null);
    await assert.rejects(transact(store, [upsert("a", "1"), deletion("b")]), { code: "failed" });
    assert.deepEqual(
      requests().map(({ kind }) => kind),
      ["begin", "call", "call"],
    );
    answer = () => null;
    await transact(store, [upsert("a", "1"), deletion("b")]);
    const connections = new Set(requests().map(({ connection }) => connection));
    assert.equal(connections.size, 1, "the connection is of use as before");
  });

  it("refuses a wrong password with the number alone, and stays closed", async () => {
    const server = await TdsServer.start({
      login: () => ({ number: 18_456, severity: 14, text: "Login failed for user 'app'." }),
    });
    try {
      const error = await caught(openStore({ fields: { connectionString: connectionTo(server.port) } }));
      assert.equal(error.code, "unavailable");
      assert.match(error.message, /refused the user, the password or the token; .*\(error 18456\)/);
      assert.doesNotMatch(error.message, /secret-password|Login failed/);
      await eventually(async () => assert.equal(server.open, 0));
    } finally {
      await server.stop();
    }
  });

  it("says what to do when the server does not encrypt and encryption is wanted", async () => {
    const { server } = await open();
    const connectionString = connectionTo(server.port).replace("encrypt=disable", "encrypt=true");
    const error = await caught(openStore({ fields: { connectionString } }));
    assert.equal(error.code, "unavailable");
    assert.match(error.message, /cannot connect to sqlserver at .*check encrypt, TrustServerCertificate/);
  });

  it("calls a read again whose connection broke, over another one", async () => {
    const { store, requests } = await open();
    let cuts = 1;
    answer = () => (cuts-- > 0 ? { instead: "cut" } : null);
    assert.equal(await store.get("k", read, call), null);
    const [first, second] = requests();
    assert.notEqual(first?.connection, second?.connection);
  });

  it("leaves open what became of a write whose connection broke, and of a commit", async () => {
    const { store } = await open();
    answer = () => ({ instead: "cut" });
    for (const attempt of [
      () => store.set(write("k", "1"), call),
      () => store.set(write("k", "1", { etag: ETAG }), call),
      () => store.remove(removal("k"), call),
    ]) {
      const error = await caught(attempt());
      assert.deepEqual([error.code, /may have happened/.test(error.message)], ["unknown-outcome", true]);
    }
    answer = ({ kind }) => (kind === "commit" ? { instead: "cut" } : null);
    const error = await caught(transact(store, [upsert("a", "1"), upsert("b", "2")]));
    assert.equal(error.code, "unknown-outcome");
  });

  it("leaves open what became of a write that met an error with which the server ends the connection", async () => {
    const { store, requests } = await open();
    for (const [number, severity] of [
      [596, 21],
      [9001, 21],
      [823, 24],
      [21, 20],
      [40_197, 17],
    ] as const) {
      answer = () => ({ error: { number, severity } });
      const error = await caught(store.set(write("k", "1"), call));
      assert.deepEqual([error.code, /may have happened/.test(error.message)], ["unknown-outcome", true], `${number}`);
      assert.match(error.message, new RegExp(`^sqlserver at .* \\(error ${number}\\); `));
      answer = ({ kind }) => (kind === "commit" ? { error: { number, severity } } : null);
      await assert.rejects(transact(store, [upsert("a", "1")]), { code: "unknown-outcome" });
      let errors = 1;
      answer = () => (errors-- > 0 ? { error: { number, severity } } : null);
      assert.equal(await store.get("k", read, call), null);
      const [before, after] = requests().slice(-2);
      assert.notEqual(before?.connection, after?.connection);
    }
  });

  it("takes no answer without a number of changed rows for a write that was made, or for a conflict", async () => {
    const { store } = await open();
    answer = () => ({ columns: [{ name: "Audit", type: "int" }], rows: [[0]] });
    for (const attempt of [
      () => store.set(write("k", "1", { etag: ETAG }), call),
      () => store.set(write("k", "1", { firstWrite: true }), call),
      () => store.remove(removal("k", { etag: ETAG }), call),
      async () => store.removeRange?.({ scope: "app||", start: "app||" }, 10, call),
    ]) {
      const error = await caught(attempt());
      assert.equal(error.code, "unknown-outcome");
      assert.match(error.message, /did not say how many rows .*; the write may have happened/);
    }
  });

  it("never uses a connection again in which the server has left a transaction open", async () => {
    const { store, requests } = await open({ fields: { maxConns: "1" } });
    answer = () => ({ leavesOpen: true });
    await store.set(write("k", "1"), call);
    answer = () => null;
    await store.get("k", read, call);
    const [before, after] = requests().map(({ connection }) => connection);
    assert.notEqual(before, after);
  });

  it("begins a transaction again whose connection broke before its commit", async () => {
    const { store, requests } = await open();
    let cuts = 1;
    answer = ({ text }) => (text.startsWith("UPDATE") && cuts-- > 0 ? { instead: "cut" } : null);
    await transact(store, [upsert("a", "1"), upsert("b", "2")]);
    const kinds = requests().map(({ kind }) => kind);
    assert.deepEqual(kinds, ["begin", "call", "call", "begin", "call", "call", "commit"]);
  });

  it("ends a call in its time when the server hangs, takes it back there, and keeps the connection", async () => {
    const { store, server, requests } = await open({ fields: { ...SHORT, maxConns: "1" } });
    answer = () => ({ instead: "hang" });
    const written = await caught(store.set(write("k", "1"), call));
    assert.deepEqual([written.code, /within timeoutInSeconds; the write may/.test(written.message)], ["timeout", true]);
    const looked = await caught(store.get("k", read, call));
    assert.deepEqual([looked.code, /may have happened/.test(looked.message)], ["timeout", false]);
    await eventually(async () => assert.equal(server.attentions, 2));
    answer = () => null;
    await store.get("k", read, call);
    assert.equal(new Set(requests().map(({ connection }) => connection)).size, 1);
  });

  it("gives up a connection whose server does not even stop, and goes on over another one", async () => {
    const { store, requests } = await open({ fields: { ...SHORT, maxConns: "1" } });
    answer = ({ connection }) => (connection === requests()[0]?.connection ? { instead: "deaf" } : null);
    await assert.rejects(store.get("k", read, call), { code: "timeout" });
    answer = () => null;
    // With one connection, the next call waits until the old one is given up.
    await assert.doesNotReject(store.get("k", read, call).catch(() => store.get("k", read, call)));
    const connections = requests().map(({ connection }) => connection);
    assert.notEqual(connections[0], connections.at(-1));
  });

  it("never uses a connection again on which a transaction was given up", async () => {
    const { store, requests } = await open({ fields: { ...SHORT, maxConns: "1" } });
    answer = ({ text }) => (text.startsWith("UPDATE") ? { instead: "hang" } : null);
    const error = await caught(transact(store, [upsert("a", "1"), upsert("b", "2")]));
    assert.deepEqual([error.code, /may have happened/.test(error.message)], ["timeout", false]);
    answer = () => null;
    await store.get("k", read, call);
    const connections = requests().map(({ connection }) => connection);
    assert.notEqual(connections[0], connections.at(-1));
  });

  it("takes a read back whose caller leaves, and waits a second for a write", async () => {
    const { store, server, requests } = await open();
    answer = () => ({ instead: "hang" });
    const leaving = new AbortController();
    const looked = caught(store.get("k", read, { signal: leaving.signal }));
    await eventually(async () => assert.equal(requests().length, 1));
    leaving.abort();
    assert.equal((await looked).code, "timeout");
    await eventually(async () => assert.equal(server.attentions, 1));
    const gone = new AbortController();
    const written = caught(store.set(write("k", "1"), { signal: gone.signal }));
    await eventually(async () => assert.equal(requests().length, 2));
    gone.abort();
    const error = await written;
    assert.deepEqual([error.code, /the caller left before/.test(error.message)], ["unknown-outcome", true]);
    await eventually(async () => assert.equal(server.attentions, 2));
  });

  it("makes no more connections than maxConns, and serves all calls over them", async () => {
    const { store, server } = await open({ fields: { maxConns: "2" } });
    let most = 0;
    answer = () => {
      most = Math.max(most, server.open);
      return null;
    };
    await Promise.all(Array.from({ length: 50 }, (_, index) => store.set(write(`k${index}`, "1"), call)));
    assert.equal(most, 2);
  });

  it("fails at once while the server is away, says so once, and finds it again by itself", async () => {
    const log = listeningLog();
    const { store, server } = await open({ log });
    const { port } = server;
    await server.stop();
    const error = await caught(store.get("k", read, call));
    assert.deepEqual([error.code, /cannot connect to sqlserver at/.test(error.message)], ["unavailable", true]);
    for (let count = 0; count < 20; count++) await caught(store.get("k", read, call));
    assert.equal(log.warnings.filter((each) => each.startsWith("sqlserver cannot be reached")).length, 1);
    const again = await TdsServer.start({ port });
    try {
      await eventually(() => store.get("k", read, call));
    } finally {
      await store.close();
      await again.stop();
    }
  });

  it("looks for the primary anew when the database has become read-only", async () => {
    const { store, requests } = await open();
    await store.get("k", read, call);
    let isReadOnly = true;
    answer = () => {
      if (!isReadOnly) return null;
      isReadOnly = false;
      return { error: { number: 3906 } };
    };
    await store.set(write("k", "1"), call);
    const connections = requests().map(({ connection }) => connection);
    assert.notEqual(connections.at(-2), connections.at(-1));
  });

  it("ends calls under way when it is closed, and says of a write that it may have happened", async () => {
    const { store, server } = await open();
    answer = () => ({ instead: "hang" });
    const sent = (): number => server.requests.filter(({ kind }) => kind === "call").length;
    const from = sent();
    const calls = [caught(store.get("k", read, call)), caught(store.set(write("k", "1"), call))];
    await eventually(async () => assert.equal(sent(), from + 2));
    await store.close();
    await store.close();
    assert.deepEqual(
      (await Promise.all(calls)).map(({ code }) => code),
      ["closed", "unknown-outcome"],
    );
    assert.equal((await caught(store.get("k", read, call))).code, "closed");
    await eventually(async () => assert.equal(server.open, 0));
  });

  it("rejects an opening in its time when the server takes connections and says nothing", async () => {
    const server = await TdsServer.start({
      answer: (request) =>
        request.text.startsWith("SET XACT_ABORT")
          ? { instead: "deaf" }
          : columnsAnswer(request, { state: V1, dapr_metadata: METADATA }),
    });
    try {
      const fields = { connectionString: `${connectionTo(server.port)};dial timeout=1` };
      const error = await caught(openStore({ fields }));
      assert.deepEqual([error.code, /no answer within 1000 ms/.test(error.message)], ["unavailable", true]);
      const aborted = await caught(openStore({ fields, signal: AbortSignal.timeout(50) }));
      assert.equal(aborted.code, "closed");
      await eventually(async () => assert.equal(server.open, 0));
    } finally {
      await server.stop();
    }
  });
});
