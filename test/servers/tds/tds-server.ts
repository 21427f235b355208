// A server that speaks TDS 7.4 as SQL Server does and knows no SQL: it writes down what a client asks and answers what a
// test says. It proves what goes over the wire and how the driver takes each answer; never what a statement does.
import { createServer, type Server, type Socket } from "node:net";
import type { SecureContextOptions } from "node:tls";
import { freePort } from "../free-port.ts";
import {
  ATTENTION,
  BATCH,
  LOGIN,
  type Login,
  type Message,
  MessageReader,
  PRELOGIN,
  RPC,
  readBatch,
  readCall,
  readLogin,
  readTransaction,
  TRANSACTION,
} from "./messages.ts";
import { securedBy } from "./tds-tls.ts";
import {
  began,
  DONE_ATTENTION,
  DONE_ERROR,
  done,
  errorToken,
  loginAccepted,
  prelogin,
  type Rows,
  rowsToken,
  type ServerError,
  toPackets,
  transactionEnded,
} from "./tokens.ts";

export interface TdsRequest {
  readonly kind: "batch" | "call" | "begin" | "commit" | "rollback";
  /** Of a batch or of sp_executesql; "" of a step of a transaction. */
  readonly text: string;
  /** As sp_executesql declares them: "@Key nvarchar(4000), @TTL int"; "" without any. */
  readonly declared: string;
  /** Values by name, without the @. */
  readonly values: Readonly<Record<string, unknown>>;
  /** Number of the connection, from 1. */
  readonly connection: number;
}

/**
 * An error after which a transaction that was open is undone, as XACT_ABORT has it; nothing at all; the end of the
 * connection; no answer until the client takes its request back, and with "deaf" not even then. With `leavesOpen` a
 * statement begins a transaction and does not end it.
 */
export type TdsAnswer = Partial<Rows> & {
  readonly error?: ServerError;
  readonly instead?: "hang" | "deaf" | "cut";
  readonly leavesOpen?: boolean;
};

export interface TdsOptions {
  /** Absent or null: an empty answer. */
  readonly answer?: (request: TdsRequest) => TdsAnswer | null;
  readonly login?: (login: Login) => ServerError | null;
  /** A fixed port, to come back on; one that is free when not given. */
  readonly port?: number;
  /** Key and certificate, where connections are encrypted; read anew for each. */
  readonly tls?: () => SecureContextOptions;
}

const SP_EXECUTESQL = 10;
const STEPS: Readonly<Record<number, "begin" | "commit" | "rollback">> = { 5: "begin", 7: "commit", 8: "rollback" };

export class TdsServer {
  /** What was asked, without the settings that a client makes for itself as it connects. */
  readonly requests: TdsRequest[] = [];
  readonly logins: Login[] = [];
  attentions = 0;
  readonly #options: TdsOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #connections = 0;

  private constructor(options: TdsOptions) {
    this.#options = options;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  static async start(options: TdsOptions = {}): Promise<TdsServer> {
    const server = new TdsServer(options);
    const port = options.port ?? (await freePort());
    await new Promise<void>((resolve, reject) => {
      server.#server.once("error", reject);
      server.#server.listen(port, "127.0.0.1", resolve);
    });
    return server;
  }

  get port(): number {
    const address = this.#server.address();
    return address !== null && typeof address === "object" ? address.port : 0;
  }

  /** Connections that stand. */
  get open(): number {
    return this.#sockets.size;
  }

  /** Ends everything without a farewell. */
  async stop(): Promise<void> {
    const ended = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.cut();
    await ended;
  }

  /** Ends the connections that stand; new ones are taken. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    // A client that goes is no news; "close" follows.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#sockets.delete(socket));
    const { tls } = this.#options;
    const stream = tls === undefined ? socket : securedBy(tls(), socket);
    const session = new TdsSession(stream, ++this.#connections, this.#options, this);
    const reader = new MessageReader();
    stream.on("data", (chunk: Buffer) => {
      for (const message of reader.read(chunk)) session.take(message);
    });
  }
}

class TdsSession {
  readonly #socket: Socket;
  readonly #number: number;
  readonly #options: TdsOptions;
  readonly #server: TdsServer;
  #inTransaction = false;
  #isDeaf = false;
  /** A request has no answer yet. */
  #isHanging = false;
  /** The client's own settings come first. */
  #isSetUp = false;

  constructor(socket: Socket, number: number, options: TdsOptions, server: TdsServer) {
    this.#socket = socket;
    this.#number = number;
    this.#options = options;
    this.#server = server;
  }

  take(message: Message): void {
    if (message.type === PRELOGIN) this.#send(prelogin());
    else if (message.type === LOGIN) this.#signIn(readLogin(message.data));
    else if (message.type === ATTENTION) this.#stop();
    else if (message.ignored) this.#send(done(DONE_ERROR));
    else this.#answer(this.#read(message));
  }

  #signIn(login: Login): void {
    this.#server.logins.push(login);
    const error = this.#options.login?.(login) ?? null;
    this.#send(error === null ? loginAccepted(login.database) : Buffer.concat([errorToken(error), done(DONE_ERROR)]));
  }

  #read({ type, data }: Message): TdsRequest {
    const from = { declared: "", values: {}, connection: this.#number };
    if (type === BATCH) return { kind: "batch", text: readBatch(data), ...from };
    if (type === TRANSACTION) return { kind: STEPS[readTransaction(data)] ?? "begin", text: "", ...from };
    if (type !== RPC) throw new Error(`a message of a type that this server does not know: ${type}`);
    const { procedure, parameters } = readCall(data);
    if (procedure !== SP_EXECUTESQL) throw new Error(`a procedure that this server does not know: ${procedure}`);
    const [text, declared, ...rest] = parameters;
    const values = Object.fromEntries(rest.map(({ name, value }) => [name.slice(1), value]));
    return { kind: "call", ...from, text: String(text?.value), declared: String(declared?.value), values };
  }

  #answer(request: TdsRequest): void {
    if (!this.#isSetUp && request.text.startsWith("set ansi_nulls")) {
      this.#isSetUp = true;
      this.#send(done(0));
      return;
    }
    this.#server.requests.push(request);
    const { error, instead, leavesOpen, columns = [], rows = [] } = this.#options.answer?.(request) ?? {};
    if (instead === "cut") this.#socket.resetAndDestroy();
    else if (instead !== undefined) {
      this.#isHanging = true;
      this.#isDeaf = instead === "deaf";
    } else if (error !== undefined) this.#fail(error);
    else if (request.kind === "begin" || leavesOpen) this.#step(true, began());
    else if (request.kind === "commit") this.#step(false, transactionEnded(9));
    else if (request.kind === "rollback") this.#step(false, transactionEnded(10));
    else this.#send(columns.length === 0 ? done(0) : Buffer.concat([rowsToken({ columns, rows }), done(0)]));
  }

  #step(inTransaction: boolean, change: Buffer): void {
    this.#inTransaction = inTransaction;
    this.#send(Buffer.concat([change, done(0)]));
  }

  #fail(error: ServerError): void {
    const undone = this.#inTransaction ? transactionEnded(10) : Buffer.alloc(0);
    this.#inTransaction = false;
    this.#send(Buffer.concat([errorToken(error), undone, done(DONE_ERROR)]));
  }

  /** The request that is stopped gets the end of its answer, and the wish to stop it an answer of its own. */
  #stop(): void {
    this.#server.attentions++;
    if (this.#isDeaf) return;
    if (this.#isHanging) this.#send(done(DONE_ERROR));
    this.#isHanging = false;
    this.#send(done(DONE_ATTENTION));
  }

  #send(data: Buffer): void {
    this.#socket.write(toPackets(data));
  }
}
