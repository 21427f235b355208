// What a session makes of a server that no longer knows it: a stand-in that answers as the protocol has it, since a real
// server forgets a session when it likes.
import assert from "node:assert/strict";
import { createServer, type Server, type Socket } from "node:net";
import type { Store } from "#sidecar/stores/store.ts";
import { FrameReader, JuteWriter } from "#sidecar/stores/zookeeper/jute.ts";
import { call, openStore, read, upsert, write } from "./fixture.ts";

const EXISTS = 3;
const GET_DATA = 4;
const SYNC = 9;
const NO_NODE = -101;
const SET_DATA = 5;
const MULTI = 14;
const SESSION_EXPIRED = -112;
const THROTTLED = -127;
const MARSHALLING_ERROR = -5;
const TIMEOUT_MS = 4000;
const PASSWORD = Buffer.alloc(16, 7);

/** What a connection to the stand-in is like. */
interface Scene {
  /** 0: the session that the client names is over. */
  readonly timeoutMs: number;
  /** What is answered to a write; null: the connection breaks. */
  readonly write: number | null;
}

interface StandIn {
  readonly servers: string;
  /** The session that each connection asked for; 0 for a new one. */
  readonly asked: readonly bigint[];
  /** The last transaction that each said it had seen. */
  readonly zxids: readonly bigint[];
  /** The numbers of all requests. */
  readonly operations: readonly number[];
  stop(): Promise<void>;
}

async function standIn(scenes: readonly Scene[]): Promise<StandIn> {
  const asked: bigint[] = [];
  const zxids: bigint[] = [];
  const operations: number[] = [];
  const server: Server = createServer((socket: Socket) => {
    const scene = scenes[asked.length] ?? { timeoutMs: TIMEOUT_MS, write: 0 };
    const reader = new FrameReader();
    let greeted = false;
    const answer = (frame: Buffer): void => {
      if (greeted) operations.push(reply(socket, frame, scene));
      else welcome(frame);
      greeted = true;
    };
    const welcome = (frame: Buffer): void => {
      zxids.push(frame.readBigInt64BE(4));
      asked.push(frame.readBigInt64BE(16));
      const session = scene.timeoutMs === 0 ? 0n : BigInt(asked.length);
      socket.write(new JuteWriter().int(0).int(scene.timeoutMs).long(session).buffer(PASSWORD).flag(false).finish());
    };
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      for (const frame of reader.read(chunk)) answer(frame);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" ? address?.port : "";
  const stop = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
  return { servers: `127.0.0.1:${port}`, asked, zxids, operations, stop };
}

/** Gives the number of the operation. */
function reply(socket: Socket, frame: Buffer, scene: Scene): number {
  const [xid, op] = [frame.readInt32BE(0), frame.readInt32BE(4)];
  const code = op === SET_DATA || op === MULTI ? scene.write : op === EXISTS || op === GET_DATA ? NO_NODE : 0;
  if (code === null) socket.destroy();
  else socket.write(new JuteWriter().int(xid).long(5n).int(code).finish());
  return op;
}

describe("a session with ZooKeeper", () => {
  async function onScenes(
    scenes: readonly Scene[],
    work: (store: Store, server: StandIn) => Promise<void>,
  ): Promise<void> {
    const server = await standIn(scenes);
    const store = await openStore({ servers: server.servers });
    try {
      await work(store, server);
    } finally {
      await store.close();
      await server.stop();
    }
  }

  it("goes on over a new connection, so that nothing that was sent over the old one is done later", () =>
    onScenes([{ timeoutMs: TIMEOUT_MS, write: null }], async (store, { asked, zxids }) => {
      await assert.rejects(store.set(write("k", "1"), call), { code: "unknown-outcome" });
      await store.ping(call);
      assert.deepEqual(
        [asked, zxids],
        [
          [0n, 1n],
          [0n, 5n],
        ],
      );
    }));

  it("begins anew where the server says that it is over", () =>
    onScenes(
      [
        { timeoutMs: TIMEOUT_MS, write: null },
        { timeoutMs: 0, write: 0 },
      ],
      async (store, { asked, zxids }) => {
        await assert.rejects(store.set(write("k", "1"), call), { code: "unknown-outcome" });
        await store.ping(call);
        assert.deepEqual(
          [asked, zxids],
          [
            [0n, 1n, 0n],
            [0n, 5n, 0n],
          ],
        );
      },
    ));

  it("sends a write again that was refused because the session was over", () =>
    onScenes([{ timeoutMs: TIMEOUT_MS, write: SESSION_EXPIRED }], async (store, { asked }) => {
      await store.set(write("k", "1"), call);
      assert.deepEqual(asked, [0n, 0n]);
    }));

  it("gives up where a new session is over at once too", () =>
    onScenes(
      [
        { timeoutMs: TIMEOUT_MS, write: SESSION_EXPIRED },
        { timeoutMs: TIMEOUT_MS, write: SESSION_EXPIRED },
      ],
      async (store, { asked }) => {
        await assert.rejects(store.set(write("k", "1"), call), { code: "unavailable", message: /ended the session/ });
        assert.equal(asked.length, 2);
      },
    ));

  for (const [what, answer, code, message] of [
    ["was not taken", THROTTLED, "unavailable", /has more requests than it can serve$/],
    ["failed behind the write", MARSHALLING_ERROR, "unknown-outcome", /code -5.* may have happened$/],
    ["is too short", 0, "unknown-outcome", /does not speak ZooKeeper's protocol; the write may have happened$/],
  ] as const) {
    it(`says so when a transaction's answer ${what}`, () =>
      onScenes([{ timeoutMs: TIMEOUT_MS, write: answer }], (store) =>
        assert.rejects(async () => store.transact?.([upsert("a", "1"), upsert("b", "1")], call), {
          name: "StoreError",
          code,
          message,
        }),
      ));
  }

  it("begins anew after its timeout, and with it reads may be of before", () =>
    onScenes([{ timeoutMs: 1000, write: null }], async (store, { asked, zxids }) => {
      await assert.rejects(store.set(write("k", "1"), call), { code: "unknown-outcome" });
      await new Promise((resolve) => setTimeout(resolve, 1100));
      await store.ping(call);
      assert.deepEqual(
        [asked, zxids],
        [
          [0n, 0n],
          [0n, 0n],
        ],
      );
    }));

  it("lets the server catch up before a strong read, and before a look that a condition rests on", () =>
    onScenes([], async (store, { operations }) => {
      const { length } = operations;
      await store.get("k", { ...read, strong: true }, call);
      await store.get("k", read, call);
      await assert.rejects(store.set(write("k", "1", { etag: "0-1" }), call), { code: "etag-mismatch" });
      assert.deepEqual(operations.slice(length), [SYNC, GET_DATA, GET_DATA, SYNC, EXISTS]);
    }));
});
