// One connection to the server, from its opening to its end; it never reconnects and does one statement at a time. mysql2
// does the protocol; deadlines, TLS levels and errors are here.
import { connect as connectSocket, type Socket } from "node:net";
import { type Connection, type ConnectionOptions, createConnection } from "mysql2";
import type { Clock } from "#kit/clock.ts";
import { closedError, type Ending, lossError, ReplyError, type SqlError } from "../sql/failure.ts";
import type { RunnableSession } from "../sql/runner.ts";
import { connectError, endsSession, errorNumberOf, replyError } from "./failures.ts";
import type { Endpoint, ServerPlan, TlsLevel } from "./server-plan.ts";

export interface SessionOptions {
  readonly plan: ServerPlan;
  /** Null: no schema yet. */
  readonly schema: string | null;
  /** PEM text of the authorities; null: those that the system trusts. */
  readonly authority: string | null;
  /** What performance_schema shows as program_name. */
  readonly applicationName: string;
  /** After which the server itself stops a statement, or a wait for a lock. */
  readonly statementMs: number;
  readonly clock: Clock;
}

/** Numbers go as texts: the server takes a number for a double, which LIMIT does not. */
export type Parameter = string | null;

export interface Statement {
  readonly text: string;
  /** It takes effect by itself, not only with a later COMMIT. */
  readonly lasting: boolean;
  /** What it does to the transaction of the session. */
  readonly transaction?: "begins" | "ends";
}

export type Row = Readonly<Record<string, unknown>>;

export interface Answer {
  readonly rows: readonly Row[];
  /** Rows inserted (1 each), updated by an INSERT (2 each), updated or deleted (1 each); unchanged ones do not count. */
  readonly changed: number;
}

/** The field that says how long a call may take. */
export const TIME_FIELD = "timeoutInSeconds";
const KEEP_ALIVE_MS = 15_000;
/** How long a farewell may take before the connection is cut. */
const FAREWELL_MS = 250;
/** Of one connection; the least used one is given up for another. */
const PREPARED_MAX = 64;

export class Session implements RunnableSession {
  readonly server: string;
  readonly openedMs: number;
  /** What is given up ends the connection with it: only a second connection could stop it on the server. */
  readonly cancel: null = null;
  readonly outlives: boolean = false;
  readonly idle: null = null;
  readonly #client: Connection;
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #ended: PromiseWithResolvers<void> = Promise.withResolvers();
  #ending: Ending | null = null;
  #inTransaction = false;
  /** Rejects the statement under way: mysql2 forgets it when we end the connection. */
  #fail: ((error: SqlError) => void) | null = null;
  #failing: Statement | null = null;

  private constructor(client: Connection, socket: Socket, { plan, clock }: SessionOptions) {
    this.#client = client;
    this.#socket = socket;
    this.#clock = clock;
    this.server = nameOf(plan.endpoint);
    this.openedMs = clock.monotonicMs();
    // Without a listener an error would end the process; the end of the socket tells all that is needed.
    client.on("error", () => this.#lose("broken"));
    socket.on("close", () => {
      this.#lose("broken");
      this.#ended.resolve();
    });
  }

  /** Tries the levels of TLS one after the other, or rejects with a SqlError and leaves nothing open. */
  static async open(options: SessionOptions, signal: AbortSignal): Promise<Session> {
    let failure: SqlError | null = null;
    for (const level of options.plan.tls) {
      try {
        return await Session.#openWith(level, options, signal);
      } catch (error) {
        if (signal.aborted) throw closedError();
        failure = connectError(nameOf(options.plan.endpoint), error);
        // What the server answered it would answer on the next level too.
        if (failure instanceof ReplyError) break;
      }
    }
    throw failure ?? closedError();
  }

  static async #openWith(level: TlsLevel, options: SessionOptions, signal: AbortSignal): Promise<Session> {
    if (signal.aborted) throw closedError();
    const socket = socketTo(options.plan.endpoint);
    const client = createConnection(clientOptions(level, options, socket));
    const session = new Session(client, socket, options);
    const late = Promise.withResolvers<never>();
    const { connectMs } = options.plan;
    const timer = options.clock.after(connectMs, () => late.reject(new Error(`no answer within ${connectMs} ms`)));
    const leave = (): void => late.reject(closedError());
    signal.addEventListener("abort", leave, { once: true });
    try {
      await Promise.race([handshake(client), late.promise]);
      await Promise.race([session.run(setupOf(options)), late.promise]);
      return session;
    } catch (error) {
      session.destroy("broken");
      await session.ended;
      throw error;
    } finally {
      timer.cancel();
      signal.removeEventListener("abort", leave);
    }
  }

  /** Nothing is under way, and the next user finds it as a new one. */
  get reusable(): boolean {
    return this.#ending === null && !this.#inTransaction && this.#fail === null;
  }

  get alive(): boolean {
    return this.#ending === null;
  }

  /** Resolves when the connection is gone. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Runs a statement; with values it is prepared, and kept for the next time. Rejects with a SqlError. */
  run(statement: Statement, values: readonly Parameter[] | null = null): Promise<Answer> {
    if (this.#ending !== null) return Promise.reject(this.#lossError(this.#ending, false));
    return new Promise((resolve, reject) => {
      this.#fail = reject;
      this.#failing = statement;
      const done = (error: unknown, result: unknown): void => {
        // The end of the connection has been told already.
        if (this.#fail === null) return;
        this.#fail = null;
        if (error !== null && error !== undefined) reject(this.#explain(error, statement));
        else {
          if (statement.transaction !== undefined) this.#inTransaction = statement.transaction === "begins";
          resolve(answerOf(result));
        }
      };
      if (values === null) this.#client.query(statement.text, done);
      else this.#client.execute(statement.text, [...values], done);
    });
  }

  interrupt(ending: Ending): void {
    this.destroy(ending);
  }

  /** Says farewell and ends; cut when that takes too long. Nothing may be under way. */
  close(): void {
    if (this.#ending !== null) return;
    this.#ending = "closed";
    const timer = this.#clock.after(FAREWELL_MS, () => this.#socket.destroy());
    void this.#ended.promise.then(() => timer.cancel());
    this.#client.end();
  }

  /** Ends the connection at once; what is under way rejects according to `ending`. */
  destroy(ending: Ending): void {
    this.#lose(ending);
    this.#client.destroy();
    this.#socket.destroy();
  }

  #lose(ending: Ending): void {
    this.#ending ??= ending;
    const fail = this.#fail;
    this.#fail = null;
    fail?.(this.#lossError(this.#ending, this.#failing?.lasting ?? false));
  }

  #lossError(ending: Ending, lasting: boolean): SqlError {
    return lossError({ ending, lasting, server: `mysql at ${this.server}`, timeField: TIME_FIELD });
  }

  #explain(error: unknown, { lasting }: Statement): SqlError {
    const number = errorNumberOf(error);
    if (number === null || endsSession(number)) {
      this.destroy("broken");
      return this.#lossError(this.#ending ?? "broken", lasting);
    }
    const failure = replyError(number, this.server);
    // What was prepared here is of no use any more; another connection prepares anew.
    if (failure.again === "connection" || failure.again === "elsewhere") this.destroy("broken");
    return failure;
  }
}

function answerOf(result: unknown): Answer {
  if (Array.isArray(result)) return { rows: result, changed: 0 };
  const changed = typeof result === "object" && result !== null && "affectedRows" in result ? result.affectedRows : 0;
  return { rows: [], changed: Number(changed) };
}

function handshake(client: Connection): Promise<void> {
  return new Promise((resolve, reject) => {
    client.connect((error) => (error === null ? resolve() : reject(error)));
  });
}

export function nameOf(endpoint: Endpoint): string {
  if (endpoint.kind === "socket") return endpoint.path;
  return endpoint.host.includes(":") ? `[${endpoint.host}]:${endpoint.port}` : `${endpoint.host}:${endpoint.port}`;
}

function socketTo(endpoint: Endpoint): Socket {
  if (endpoint.kind === "socket") return connectSocket(endpoint.path);
  const { host, port } = endpoint;
  const socket = connectSocket({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS });
  // By this Node knows what a certificate has to be made out to. It sets it for names only, and takes an address that
  // mysql2 hands on without a word for "localhost".
  return Object.assign(socket, { _host: host });
}

function clientOptions(
  level: TlsLevel,
  { plan, schema, authority, applicationName }: SessionOptions,
  socket: Socket,
): ConnectionOptions {
  const { endpoint, user, password, cleartext } = plan;
  const verified = level === "full";
  return {
    ...(endpoint.kind === "tcp" ? { host: endpoint.host, port: endpoint.port } : { socketPath: endpoint.path }),
    stream: () => socket,
    user,
    password,
    ...(schema === null ? {} : { database: schema }),
    ...(level === "none"
      ? {}
      : {
          ssl: {
            minVersion: "TLSv1.2",
            rejectUnauthorized: verified,
            verifyIdentity: verified,
            ...(authority === null ? {} : { ca: authority }),
          },
        }),
    enableCleartextPlugin: cleartext && level !== "none",
    // Rows that an update leaves as they are do not count, and no server reads files of ours.
    flags: ["-FOUND_ROWS", "-LOCAL_FILES"],
    charset: "UTF8MB4_BIN",
    // Ours covers the handshake too.
    connectTimeout: 0,
    trace: false,
    maxPreparedStatements: PREPARED_MAX,
    connectAttributes: { program_name: applicationName },
  };
}

/**
 * The variables that the statements count on, then those of the connection string. Of comments that begin with M! MariaDB
 * reads what stands in them, of those that begin with !80000 MySQL: one round trip whatever the server.
 */
function setupOf({ plan, statementMs }: SessionOptions): Statement {
  const waitSec = Math.max(1, Math.floor(statementMs / 1000));
  // A transaction whose client is silent for so long is undone, which frees its rows for others.
  const idleSec = Math.max(1, Math.ceil(statementMs / 2000));
  const own = [
    "SET SESSION autocommit = 1",
    "sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
    "time_zone = '+00:00'",
    `innodb_lock_wait_timeout = ${waitSec}`,
    `lock_wait_timeout = ${waitSec}`,
  ].join(", ");
  const mariadb = `/*M!100300 , tx_isolation = 'READ-COMMITTED', max_statement_time = ${statementMs / 1000}, idle_transaction_timeout = ${idleSec} */`;
  const mysql = `/*!80000 , transaction_isolation = 'READ-COMMITTED', max_execution_time = ${statementMs} */`;
  const given = plan.variables.map((each) => `, ${each}`).join("");
  return { text: `${own} ${mariadb} ${mysql}${given}`, lasting: false };
}
