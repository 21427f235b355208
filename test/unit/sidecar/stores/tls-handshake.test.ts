// Stores behind a server that never gets through the TLS handshake: it takes the client's first word of it and says nothing,
// or something that is no TLS. What comes before that word in a store's protocol is played here; nothing comes after it.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";
import { setTimeout } from "node:timers/promises";
import { loadDriver } from "#sidecar/stores/registry.ts";
import { StoreError } from "#sidecar/stores/store.ts";
import { type Certificates, makeCertificates } from "#test/servers/certificates.ts";
import { prelogin, toPackets } from "#test/servers/tds/tokens.ts";
import { decode, type Fields, open } from "#test/stores/opening.ts";

const KEY = Buffer.from("no key of anybody").toString("base64");
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
/** Of an account that signs its own tokens. */
const ACCOUNT = {
  project_id: "test",
  private_key_id: "k1",
  private_key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  client_email: "app@test.iam.gserviceaccount.com",
};

/** What a server says in the clear. */
interface Before {
  /** As soon as it is connected to. */
  readonly greeting?: Buffer;
  /** To the client's first words, one after the other. */
  readonly answers?: readonly Buffer[];
  /** How it frames what it says instead of TLS. */
  readonly frame?: (text: Buffer) => Buffer;
}

interface Subject {
  readonly type: string;
  readonly named?: string;
  readonly fields: (port: number, certificates: Certificates) => Fields;
  readonly before?: Before;
  /** Behind the server's address. */
  readonly silent: RegExp;
  readonly plain: RegExp;
}

const NO_TLS = /: the server does not speak TLS/;
/** What Node and OpenSSL call it, and the latter's line breaks. */
const RAW = /EPROTO|error:0A|\n/;

/** Bits of what a MySQL server can: protocol 4.1, TLS, sign-in by plugins. */
const MYSQL_CAN = 0x0008_aa09;

function mysqlGreeting(): Buffer {
  const can = Buffer.alloc(4);
  can.writeUInt32LE(MYSQL_CAN);
  const body = Buffer.concat([
    Buffer.from("\x0a8.0.40\0\x01\0\0\0abcdefgh\0", "latin1"),
    can.subarray(0, 2),
    // utf8mb4, autocommit.
    Buffer.from([45, 2, 0]),
    can.subarray(2),
    Buffer.from("\x15\0\0\0\0\0\0\0\0\0\0abcdefghijkl\0caching_sha2_password\0", "latin1"),
  ]);
  const header = Buffer.alloc(4);
  header.writeUIntLE(body.length, 0, 3);
  return Buffer.concat([header, body]);
}

const NATS_GREETING = Buffer.from(
  'INFO {"server_id":"a","version":"2.10.0","proto":1,"headers":true,"tls_required":true}\r\n',
);

const SUBJECTS: readonly Subject[] = [
  {
    type: "state.aws.dynamodb",
    fields: (port) => ({
      ...{ endpoint: `https://127.0.0.1:${port}`, region: "eu-west-1", table: "state" },
      ...{ accessKey: "id", secretKey: "s3cr3t" },
    }),
    silent: / in time$/,
    plain: NO_TLS,
  },
  {
    type: "state.azure.blobstorage",
    fields: (port) => ({
      ...{ accountName: "account", accountKey: KEY, containerName: "state" },
      endpoint: `https://127.0.0.1:${port}`,
    }),
    silent: / within 5000 ms$/,
    plain: NO_TLS,
  },
  {
    type: "state.azure.cosmosdb",
    fields: (port) => ({ url: `https://127.0.0.1:${port}/`, masterKey: KEY, database: "d", collection: "c" }),
    silent: / in time$/,
    plain: NO_TLS,
  },
  {
    type: "state.azure.tablestorage",
    fields: (port) => ({
      ...{ accountName: "account", accountKey: KEY, tableName: "state" },
      serviceURL: `https://127.0.0.1:${port}/account`,
    }),
    silent: / within 5000 ms$/,
    plain: NO_TLS,
  },
  {
    type: "state.cassandra",
    fields: (port, { authority: ca }) => ({ hosts: `127.0.0.1:${port}`, enableHostVerification: "true", ca }),
    silent: /: Connection timeout$/,
    plain: NO_TLS,
  },
  {
    type: "state.etcd",
    fields: (port, { authority: ca, clientCertificate: cert, clientKey: key }) => ({
      ...{ endpoints: `127.0.0.1:${port}`, tlsEnable: "true" },
      ...{ ca, cert, key },
    }),
    silent: / in time$/,
    plain: NO_TLS,
  },
  {
    type: "state.gcp.firestore",
    fields: (port) => ({ ...ACCOUNT, endpoint: `https://127.0.0.1:${port}`, timeout: "2s" }),
    silent: / in time$/,
    plain: NO_TLS,
  },
  {
    type: "state.gcp.spanner",
    fields: (port) => ({
      ...ACCOUNT,
      ...{ instance_id: "test", database_id: "test", endpoint: `https://127.0.0.1:${port}`, timeout: "2s" },
    }),
    silent: / in time$/,
    plain: NO_TLS,
  },
  ...["tls", "nats"].map(
    (scheme): Subject => ({
      type: "state.jetstream",
      named: `by ${scheme}://`,
      fields: (port) => ({ natsURL: `${scheme}://127.0.0.1:${port}`, bucket: "state" }),
      before: { greeting: NATS_GREETING },
      silent: /: timeout$/,
      plain: NO_TLS,
    }),
  ),
  {
    type: "state.mongodb",
    fields: (port) => ({ host: `127.0.0.1:${port}`, params: "?tls=true&serverSelectionTimeoutMS=1000" }),
    silent: /: no answer in time$/,
    plain: NO_TLS,
  },
  {
    type: "state.mysql",
    fields: (port, { authorityFile: pemPath }) => ({
      connectionString: `app:secret@tcp(127.0.0.1:${port})/?tls=custom`,
      pemPath,
    }),
    before: { greeting: mysqlGreeting() },
    silent: /: no answer within 5000 ms$/,
    plain: NO_TLS,
  },
  {
    type: "state.postgresql",
    fields: (port) => ({
      connectionString: `host=127.0.0.1 port=${port} user=app password=secret dbname=app sslmode=require`,
    }),
    before: { answers: [Buffer.from("S")] },
    silent: /: no answer within 5000 ms$/,
    plain: NO_TLS,
  },
  {
    type: "state.redis",
    fields: (port) => ({ redisHost: `127.0.0.1:${port}`, enableTLS: "true" }),
    silent: /: no answer in time$/,
    plain: NO_TLS,
  },
  {
    type: "state.sqlserver",
    named: "TLS in packets of TDS",
    fields: (port) => ({
      connectionString: `Server=127.0.0.1;Port=${port};User Id=app;Connection Timeout=2;encrypt=true`,
    }),
    before: { answers: [toPackets(prelogin({ encrypts: true }))], frame: toPackets },
    silent: /: no answer within 2000 ms$/,
    plain: NO_TLS,
  },
  {
    type: "state.sqlserver",
    named: "TLS from the first byte",
    fields: (port) => ({
      connectionString: `Server=127.0.0.1;Port=${port};User Id=app;Connection Timeout=2;encrypt=strict`,
    }),
    silent: /: no answer within 2000 ms$/,
    plain: NO_TLS,
  },
];

/** Of a record of the handshake, which may stand in a frame of the store's protocol. */
const HELLO = Buffer.from([22, 3]);
const PLAIN = Buffer.from("HTTP/1.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
/** Longer than any driver's own time for an opening, so that what ends it is that. */
const OPEN_MS_MAX = 50_000;
/** For the server to learn that a connection has ended: a moment, unless the machine is busy. */
const CLOSE_MS_MAX = 8_000;
const STEP_MS = 20;

class Behind {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  /** `reply`: what to say to a client that begins TLS; null for nothing. */
  constructor({ greeting, answers = [], frame = (text) => text }: Before, reply: Buffer | null) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => this.#sockets.delete(socket));
      if (greeting !== undefined) socket.write(greeting);
      const left = [...answers];
      socket.on("data", (chunk: Buffer) => {
        const answer = left.shift();
        if (answer !== undefined) socket.write(answer);
        else if (reply !== null && chunk.includes(HELLO)) socket.write(frame(reply));
      });
    });
  }

  async start(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const address = this.#server.address();
    return address !== null && typeof address === "object" ? address.port : 0;
  }

  /** Connections that the client has not ended. */
  get connections(): number {
    return this.#sockets.size;
  }

  stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

interface Outcome {
  readonly port: number;
  readonly error: unknown;
  /** Connections to the server that are left, some time after the opening has ended. */
  readonly left: number;
}

async function outcomeOf(
  { type, fields, before = {} }: Subject,
  certificates: Certificates,
  reply: Buffer | null,
): Promise<Outcome> {
  const server = new Behind(before, reply);
  const port = await server.start();
  try {
    const driver = await loadDriver(type);
    assert.ok(driver !== null);
    // Of the blobs' versions only v2 opens without more ado.
    const prepared = decode(driver.byVersion?.v2 ?? driver, fields(port, certificates));
    const store = await open(prepared, { signal: AbortSignal.timeout(OPEN_MS_MAX) });
    await store.close();
    return { port, error: null, left: await leftAt(server) };
  } catch (error) {
    return { port, error, left: await leftAt(server) };
  } finally {
    await server.stop();
  }
}

async function leftAt(server: Behind): Promise<number> {
  const endMs = Date.now() + CLOSE_MS_MAX;
  while (server.connections > 0 && Date.now() < endMs) await setTimeout(STEP_MS);
  return server.connections;
}

const KINDS = [
  { title: "a server that never answers the TLS handshake", reply: null, member: "silent" },
  { title: "a server that answers the TLS handshake with plain text", reply: PLAIN, member: "plain" },
] as const;

for (const { title, reply, member } of KINDS)
  describe(title, () => {
    let certificates: Certificates;
    /** All at once: some wait for as long as a request may take. */
    let outcomes: ReadonlyMap<Subject, Promise<Outcome>>;
    before(async () => {
      certificates = await makeCertificates();
      outcomes = new Map(SUBJECTS.map((subject) => [subject, outcomeOf(subject, certificates, reply)]));
    });
    after(async () => {
      await Promise.all(outcomes?.values() ?? []);
      await certificates?.remove();
    });

    for (const subject of SUBJECTS) {
      const { type, named } = subject;
      it(`ends the opening of ${type}${named === undefined ? "" : `, ${named}`}, with the address and the cause`, async () => {
        const outcome = await outcomes.get(subject);
        assert.ok(outcome?.error instanceof StoreError, String(outcome?.error));
        const { code, message } = outcome.error;
        assert.ok(code === "unavailable" || code === "timeout", code);
        const [lead, rest] = message.split(`127.0.0.1:${outcome.port}`, 2);
        assert.ok(rest !== undefined, message);
        assert.match(lead ?? "", /^(cannot connect to|cannot reach|no answer from|no connection to) /);
        assert.match(rest, subject[member]);
        assert.doesNotMatch(message, RAW);
        assert.equal(outcome.left, 0, "connections are left open");
      });
    }
  });
