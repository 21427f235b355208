// One connection to the server, from its opening to its end; it never reconnects and does one statement at a time. pg does
// the protocol; deadlines, the choice of server and TLS, and errors are here.
import { Client, type ClientConfig, type QueryResult } from "pg";
import { assert } from "#kit/assert.ts";
import type { Clock } from "#kit/clock.ts";
import { closedError, type Ending, isTlsFailure, lossError, ReplyError, type SqlError } from "../sql/failure.ts";
import type { RunnableSession } from "../sql/runner.ts";
import { type BackendKey, requestCancel } from "./cancel.ts";
import {
  connectError,
  endsSession,
  preparedError,
  replyError,
  sqlStateOf,
  unreplicatedError,
  unsureError,
} from "./failures.ts";
import type { Passwords } from "./passwords.ts";
import type { Product } from "./product.ts";
import type { Endpoint, ServerPlan, TlsLevel } from "./server-plan.ts";
import type { TlsFiles } from "./tls-files.ts";

export interface SessionOptions {
  readonly plan: ServerPlan;
  readonly files: TlsFiles;
  readonly passwords: Passwords;
  /** What pg_stat_activity shows, unless the connection string says otherwise. */
  readonly applicationName: string;
  readonly clock: Clock;
}

export type Parameter =
  | string
  | number
  | boolean
  | null
  | Uint8Array
  | readonly (string | number | boolean | null | Uint8Array)[];

export interface Statement {
  /** Under which a connection keeps it prepared; "" for one that is not worth it. */
  readonly name: string;
  readonly text: string;
  /** It takes effect by itself, not only with a later COMMIT. */
  readonly lasting: boolean;
}

export interface Answer {
  /** "SELECT", "COMMIT" and so on: what the server says that it did. */
  readonly command: string;
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  /** Rows found or changed. */
  readonly count: number;
}

/** The field that says how long a call may take. */
export const TIME_FIELD = "timeout";
const KEEP_ALIVE_MS = 15_000;
/** The routine of the server that warns when it has committed and stops waiting for standbys: its text may be translated. */
const REPLICATION_ROUTINE = "SyncRepWaitForLSN";
/** How long a farewell may take before the connection is cut. */
const FAREWELL_MS = 250;

/** pg's client with a start-up message of our own: the settings of the session, and a known encoding. */
class StartingClient extends Client {
  readonly #startup: Readonly<Record<string, string>>;

  constructor(config: ClientConfig, startup: Readonly<Record<string, string>>) {
    super(config);
    this.#startup = startup;
  }

  /** Called by pg. */
  getStartupConf(): Readonly<Record<string, string>> {
    return this.#startup;
  }
}

export class Session implements RunnableSession {
  readonly server: string;
  readonly openedMs: number;
  /** What is given up ends the connection with it. */
  readonly outlives: boolean = false;
  readonly idle: null = null;
  readonly #client: Client;
  readonly #clock: Clock;
  readonly #endpoint: Endpoint;
  readonly #prepares: boolean;
  readonly #errorsUndo: boolean;
  readonly #ended: PromiseWithResolvers<void> = Promise.withResolvers();
  #key: BackendKey | null = null;
  #ending: Ending | null = null;
  /** A cancel request is on its way: it may hit whatever runs next. */
  #cancelled = false;
  /** The server said that it no longer waits for the standbys of what it has committed. */
  #unreplicated = false;

  private constructor(client: Client, endpoint: Endpoint, { plan, clock }: SessionOptions) {
    this.#client = client;
    this.#clock = clock;
    this.#endpoint = endpoint;
    this.#prepares = plan.prepares;
    this.#errorsUndo = plan.product.errorsUndo;
    this.server = nameOf(plan.product, endpoint);
    this.openedMs = clock.monotonicMs();
    client.connection.on("backendKeyData", (key: { processID: number; secretKey: number }) => {
      this.#key = { processId: key.processID, secretKey: key.secretKey };
    });
    // Without a listener an error would end the process; the end of the connection tells all that is needed.
    client.on("error", () => this.#end("broken"));
    client.on("end", () => this.#end("broken"));
    client.on("notice", ({ routine }) => {
      if (routine === REPLICATION_ROUTINE) this.#unreplicated = true;
    });
    client.connection.on("end", () => this.#ended.resolve());
  }

  /** Tries the servers of the plan one after the other, or rejects with a SqlError and leaves nothing open. */
  static async open(options: SessionOptions, signal: AbortSignal): Promise<Session> {
    let failure: SqlError | null = null;
    for (const endpoint of options.plan.endpoints) {
      for (const level of options.plan.tls) {
        try {
          return await Session.#openAt(endpoint, level, options, signal);
        } catch (error) {
          const latest = connectError(nameOf(options.plan.product, endpoint), error);
          // What a server answered says more than that another one is not there.
          if (!(failure instanceof ReplyError) || latest instanceof ReplyError) failure = latest;
          if (signal.aborted) throw closedError();
          if (isFinal(latest)) throw latest;
          if (!(latest instanceof ReplyError) && !isTlsTrouble(error)) break;
        }
      }
    }
    throw failure ?? closedError();
  }

  static async #openAt(
    endpoint: Endpoint,
    level: TlsLevel,
    options: SessionOptions,
    signal: AbortSignal,
  ): Promise<Session> {
    if (signal.aborted) throw closedError();
    const password = await options.passwords.next(endpoint, signal);
    if (signal.aborted) throw closedError();
    const config = clientConfig(endpoint, level, options);
    // A function, because an empty one would send pg to the environment and to ~/.pgpass.
    const client = new StartingClient({ ...config, password: () => password }, startupOf(options));
    const session = new Session(client, endpoint, options);
    const late = new Error(`no answer within ${options.plan.connectMs} ms`);
    let isLate = false;
    const timer = options.clock.after(options.plan.connectMs, () => {
      isLate = true;
      session.destroy("silent");
    });
    const leave = (): void => session.destroy("closed");
    signal.addEventListener("abort", leave, { once: true });
    try {
      await client.connect();
      if (options.plan.writable) await session.#mustTakeWrites();
      return session;
    } catch (error) {
      session.destroy("broken");
      // 28P01, and 28000 where PAM asks somebody else, as on RDS.
      if (sqlStateOf(error)?.startsWith("28")) options.passwords.refused(password);
      throw isLate ? connectError(session.server, late) : error;
    } finally {
      timer.cancel();
      signal.removeEventListener("abort", leave);
    }
  }

  /** False once nothing can be sent any more, and while a transaction is open. */
  get reusable(): boolean {
    return this.#ending === null && !this.#cancelled && this.#client.getTransactionStatus() === "I";
  }

  get alive(): boolean {
    return this.#ending === null;
  }

  /** Resolves when the connection is gone. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Runs a statement; of several in one text the last one's answer. Rejects with a SqlError. */
  async run(statement: Statement, values: readonly Parameter[] = []): Promise<Answer> {
    if (this.#ending !== null) throw this.#lossError(this.#ending, false);
    const { text, name } = statement;
    const query = this.#prepares && name !== "" ? { name, text, values: [...values] } : { text, values: [...values] };
    this.#unreplicated = false;
    const result = await this.#client.query(query).then(lastOf, (error: unknown) => {
      throw this.#explain(error, statement);
    });
    const { command, rows, rowCount } = result;
    // Asked to stop, the server ends a wait for standbys too, and calls the commit that was made before a success.
    const isWritten = statement.lasting && rowCount !== 0 && command !== "ROLLBACK";
    if (isWritten && (this.#cancelled || this.#unreplicated)) throw unreplicatedError(this.server);
    return { command, rows, count: rowCount ?? 0 };
  }

  /** Asks the server to stop what runs; the statement then fails, or has ended before. The session is not used again. */
  cancel(): void {
    if (this.#key === null || this.#ending !== null || this.#cancelled) return;
    this.#cancelled = true;
    requestCancel(this.#endpoint, this.#key, this.#clock);
  }

  interrupt(ending: Ending): void {
    this.destroy(ending);
  }

  /** Says farewell and ends; cut when that takes too long. Nothing may be under way. */
  close(): void {
    if (this.#ending !== null) return;
    this.#ending = "closed";
    const timer = this.#clock.after(FAREWELL_MS, () => this.#client.connection.stream.destroy());
    void this.#ended.promise.then(() => timer.cancel());
    this.#client.connection.end();
  }

  /** Ends the connection at once; what is under way rejects according to `ending`. */
  destroy(ending: Ending): void {
    this.#end(ending);
    this.#client.connection.stream.destroy();
  }

  #end(ending: Ending): void {
    this.#ending ??= ending;
  }

  async #mustTakeWrites(): Promise<void> {
    const text = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS \"readOnly\"";
    const { rows } = await this.run({ name: "", text, lasting: false });
    if (rows[0]?.readOnly !== false) throw replyError("25006", this.server);
  }

  #lossError(ending: Ending, lasting: boolean): SqlError {
    return lossError({ ending, lasting, server: this.server, timeField: TIME_FIELD });
  }

  #explain(error: unknown, { lasting, name }: Statement): SqlError {
    const sqlState = sqlStateOf(error);
    if (sqlState === null) return this.#lossError(this.#ending ?? "broken", lasting);
    if (endsSession(sqlState)) {
      this.destroy("broken");
      if (lasting) return this.#lossError("broken", lasting);
    }
    const failure = this.#reading({ lasting, isPrepared: this.#prepares && name !== "" })(sqlState, this.server);
    // What was prepared here is of no use any more; another connection prepares anew.
    if (failure.again === "connection" || failure.again === "elsewhere") this.destroy("broken");
    return failure;
  }

  /** What the server's answer to a statement means. */
  #reading({ lasting, isPrepared }: { readonly lasting: boolean; readonly isPrepared: boolean }): typeof replyError {
    if (lasting && !this.#errorsUndo) return unsureError;
    return isPrepared ? preparedError : replyError;
  }
}

/** pg gives a list where one text holds several statements, which its types do not tell. */
function lastOf(results: QueryResult | readonly QueryResult[]): QueryResult {
  const last = "rows" in results ? results : results.at(-1);
  assert(last !== undefined, "a text has a statement");
  return last;
}

/** After which no other server is tried: the password is wrong, or there is no such database. */
function isFinal(failure: SqlError): boolean {
  return failure instanceof ReplyError && (failure.reply === "28P01" || failure.reply === "3D000");
}

/** pg has no code for a server that speaks no TLS, and Node none for one that breaks it off. */
function isTlsTrouble(cause: unknown): boolean {
  return isTlsFailure(cause) || (cause instanceof Error && /SSL|TLS/.test(cause.message));
}

/** "postgresql at 127.0.0.1:5432" */
function nameOf(product: Product, { host, port }: Endpoint): string {
  return `${product.name} at ${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function startupOf({ plan, applicationName }: SessionOptions): Readonly<Record<string, string>> {
  const { user, database, session } = plan;
  return { application_name: applicationName, ...session, client_encoding: "UTF8", user, database };
}

function clientConfig(endpoint: Endpoint, level: TlsLevel, { plan, files }: SessionOptions): ClientConfig {
  return {
    host: endpoint.address,
    port: endpoint.port,
    user: plan.user,
    database: plan.database,
    ssl: tlsConfig(endpoint, level, plan, files),
    sslnegotiation: plan.tlsFirst && level !== "none" ? "direct" : "postgres",
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
  };
}

function tlsConfig(
  { host, address }: Endpoint,
  level: TlsLevel,
  plan: ServerPlan,
  files: TlsFiles,
): NonNullable<ClientConfig["ssl"]> {
  if (level === "none") return false;
  return {
    ...(files.root === null ? {} : { ca: files.root }),
    ...(files.certificate === null ? {} : { cert: files.certificate }),
    ...(files.key === null ? {} : { key: files.key }),
    ...(plan.keyPassword === "" ? {} : { passphrase: plan.keyPassword }),
    ...(host === address ? {} : { host, servername: host }),
    rejectUnauthorized: level !== "unverified",
    ...(level === "full" ? {} : { checkServerIdentity: () => undefined }),
  };
}
