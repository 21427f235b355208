// How a pluggable component is opened and kept: what it is told, how often, and what is said where it does not come. The
// component is a server within the test, which counts.
import assert from "node:assert/strict";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Metadata, Server, ServerCredentials, status } from "@grpc/grpc-js";
import { pluggableDriver } from "#sidecar/stores/pluggable/pluggable.ts";
import type { Store } from "#sidecar/stores/store.ts";
import { openContext } from "#test/conformance/case.ts";
import { call, READ } from "#test/conformance/requests.ts";

const OPEN_MS = 30_000;
const WAIT_MS = 30_000;
const PACKAGE = "/dapr.proto.components.v1.StateStore";
const EMPTY = Buffer.alloc(0);

type Reply = (error: { code: number; details: string; metadata?: Metadata } | null, answer: Buffer) => void;

const plain = (path: string): object => ({
  path: `${PACKAGE}/${path}`,
  requestStream: false,
  responseStream: false,
  requestSerialize: () => EMPTY,
  requestDeserialize: (bytes: Buffer) => bytes,
  responseSerialize: (bytes: Buffer) => bytes,
  responseDeserialize: (bytes: Buffer) => bytes,
});

describe("the opening of a pluggable component", () => {
  let folder: string;
  let inits: number;
  let onInit: (reply: Reply) => void;
  const servers: Server[] = [];
  const stores: Store[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "pannier-opening-"));
    [inits, onInit] = [0, (reply) => reply(null, EMPTY)];
  });
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close();
    for (const server of servers.splice(0)) server.forceShutdown();
    await rm(folder, { recursive: true, force: true });
  });

  async function listen(options: Readonly<Record<string, number>> = {}): Promise<Server> {
    const server = new Server(options);
    servers.push(server);
    const names = ["Init", "Features", "Ping", "Get"];
    const run = (name: string) => (_call: unknown, reply: Reply) => {
      if (name === "Init") inits++;
      if (name === "Init") onInit(reply);
      else reply(null, EMPTY);
    };
    server.addService(
      Object.fromEntries(names.map((name) => [name, plain(name)])) as never,
      Object.fromEntries(names.map((name) => [name, run(name)])) as never,
    );
    const address = `unix:${join(folder, "ours.sock")}`;
    await new Promise<void>((resolve, reject) =>
      server.bindAsync(address, ServerCredentials.createInsecure(), (error) =>
        error === null ? resolve() : reject(error),
      ),
    );
    return server;
  }

  async function open(timeoutMs = OPEN_MS, log: string[] = []): Promise<Store> {
    const context = openContext(AbortSignal.timeout(timeoutMs), log);
    const store = await pluggableDriver("state.ours", folder).decode([], []).open(context);
    stores.push(store);
    return store;
  }

  const get = (store: Store): Promise<unknown> => store.get("a", READ, call());

  async function untilServed(store: Store): Promise<void> {
    for (const end = Date.now() + WAIT_MS; ; ) {
      if ((await get(store).catch((error: Error) => error)) === null) return;
      assert.ok(Date.now() < end, "it is not served again");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  it("sends no second Init to a component that only closed the connection", async () => {
    const log: string[] = [];
    await listen({ "grpc.max_connection_age_ms": 2000, "grpc.max_connection_age_grace_ms": 2000 });
    const store = await open(OPEN_MS, log);
    const ended = (): number => log.filter((line) => line.includes("connection to pluggable component ended")).length;
    for (const end = Date.now() + WAIT_MS; ended() < 2; ) {
      assert.ok(Date.now() < end, `${ended()} connections have ended`);
      await untilServed(store);
    }
    assert.equal(inits, 1);
  });

  it("sends Init again to a component that was started again", async () => {
    const first = await listen();
    const store = await open();
    first.forceShutdown();
    await rm(join(folder, "ours.sock"), { force: true });
    await listen();
    await untilServed(store);
    assert.equal(inits, 2);
  });

  it("fails in the words of a component that cannot serve yet, and not for the time alone", async () => {
    onInit = (reply) => reply({ code: status.UNAVAILABLE, details: "the database is not there" }, EMPTY);
    await listen();
    await assert.rejects(open(3000), { code: "unavailable", message: /the database is not there/ });
    assert.ok(inits > 1, "it was not asked again");
  });

  it("says of a component that listens and hangs that it did not answer", async () => {
    onInit = () => undefined;
    await listen();
    await assert.rejects(open(2000), {
      code: "unavailable",
      message: /listens, and did not answer within initTimeout/,
    });
  });

  it("says where it could not look for a socket", async () => {
    await symlink("ours.sock", join(folder, "ours.sock"));
    await assert.rejects(open(2000), {
      name: "StoreError",
      message: /cannot look for the socket ours\.\* in .*: ELOOP/,
    });
  });
});
