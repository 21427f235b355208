// Which servers and levels of TLS are tried one after the other, by what each of them says, and which failure is told at
// last. The servers are played as far as the sign-in.
import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import { freePort } from "#test/servers/free-port.ts";
import { keeping } from "#test/stores/bench.ts";
import { openStore } from "./fixture.ts";

/** What a client asks for first: the number behind the length of its message. */
const SSL_REQUEST = 80_877_103;
/** A record of TLS 1.2 whose time is only after the handshake. */
const BAD_RECORD = Buffer.from([23, 3, 3, 0, 4, 1, 2, 3, 4]);

interface Played {
  /** To a client that asks for TLS: there is none, what follows is broken, or the connection ends with a reset. */
  readonly tls: "none" | "broken" | "reset";
  /** To one that signs in: an error of this SQLSTATE. */
  readonly signIn: string;
}

interface PlayedServer {
  readonly port: number;
  /** What each connection began with. */
  readonly asked: ("tls" | "sign-in")[];
}

function refusal(sqlState: string): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${sqlState}\0Mno\0\0`);
  const head = Buffer.from([0x45, 0, 0, 0, 0]);
  head.writeInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}

describe("an opening of PostgreSQL over several ways", () => {
  const { keep } = keeping();

  async function play({ tls, signIn }: Played): Promise<PlayedServer> {
    const asked: ("tls" | "sign-in")[] = [];
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      // A client that goes away is no trouble here.
      socket.on("error", () => socket.destroy());
      socket.once("data", (first: Buffer) => {
        const isTls = first.readInt32BE(4) === SSL_REQUEST;
        asked.push(isTls ? "tls" : "sign-in");
        if (!isTls) socket.end(refusal(signIn));
        else if (tls === "reset") socket.resetAndDestroy();
        else if (tls === "none") socket.write("N");
        else {
          socket.write("S");
          socket.once("data", () => socket.write(BAD_RECORD));
        }
      });
    });
    const port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    keep(server, () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    });
    return { port, asked };
  }

  function open(sslmode: string, ...ports: readonly number[]): Promise<unknown> {
    const hosts = ports.map((port) => `127.0.0.1:${port}`).join(",");
    const connectionString = `postgres://app:s3cr3t@${hosts}/app?sslmode=${sslmode}`;
    return openStore({ version: "v2", fields: { connectionString } });
  }

  const WRONG_PASSWORD = "28P01";
  const NO_DATABASE = "3D000";
  const NOT_FROM_HERE = "28000";
  const TOO_MANY = "53300";

  const once: [what: string, sslmode: string, played: Played, asked: PlayedServer["asked"], told: RegExp][] = [
    [
      "signs in without TLS after TLS that broke",
      "prefer",
      { tls: "broken", signIn: TOO_MANY },
      ["tls", "sign-in"],
      /53300/,
    ],
    [
      "signs in without TLS where there is none",
      "prefer",
      { tls: "none", signIn: TOO_MANY },
      ["tls", "sign-in"],
      /53300/,
    ],
    [
      "asks for TLS after a refusal without",
      "allow",
      { tls: "reset", signIn: NOT_FROM_HERE },
      ["sign-in", "tls"],
      /28000/,
    ],
    [
      "does not go without TLS that has to be",
      "require",
      { tls: "broken", signIn: TOO_MANY },
      ["tls"],
      /: TLS: .*; check sslmode/,
    ],
    [
      "does not come back another way to a server that is not there",
      "prefer",
      { tls: "reset", signIn: TOO_MANY },
      ["tls"],
      /ECONNRESET/,
    ],
    ["does not try a wrong password twice", "allow", { tls: "none", signIn: WRONG_PASSWORD }, ["sign-in"], /28P01/],
  ];
  for (const [what, sslmode, played, asked, told] of once)
    it(`${what} (sslmode=${sslmode})`, async () => {
      const server = await play(played);
      await assert.rejects(open(sslmode, server.port), { code: "unavailable", message: told });
      assert.deepEqual(server.asked, asked);
    });

  for (const sqlState of [WRONG_PASSWORD, NO_DATABASE])
    it(`asks no second server after ${sqlState} of the first`, async () => {
      const [first, second] = [
        await play({ tls: "none", signIn: sqlState }),
        await play({ tls: "none", signIn: TOO_MANY }),
      ];
      await assert.rejects(open("disable", first.port, second.port), {
        message: new RegExp(`:${first.port} .*${sqlState}`),
      });
      assert.deepEqual([first.asked, second.asked], [["sign-in"], []]);
    });

  it("asks the next server after another refusal, and tells the latest one", async () => {
    const [first, second] = [
      await play({ tls: "none", signIn: TOO_MANY }),
      await play({ tls: "none", signIn: NOT_FROM_HERE }),
    ];
    await assert.rejects(open("disable", first.port, second.port), { message: new RegExp(`:${second.port} .*28000`) });
    assert.deepEqual([first.asked, second.asked], [["sign-in"], ["sign-in"]]);
  });

  it("tells what a server has answered rather than that another one is not there", async () => {
    const answering = await play({ tls: "none", signIn: TOO_MANY });
    const away = await freePort();
    for (const ports of [
      [answering.port, away],
      [away, answering.port],
    ])
      await assert.rejects(open("disable", ...ports), { message: new RegExp(`:${answering.port} .*53300`) });
    assert.equal(answering.asked.length, 2);
  });
});
