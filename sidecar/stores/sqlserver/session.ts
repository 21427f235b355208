// One connection to the server, from its opening to its end; it never reconnects and does one statement at a time. tedious
// does the protocol; deadlines and errors are here.
import type { Connection as Client, Request as ClientRequest, ConnectionConfiguration } from "tedious";
import type { Clock } from "#kit/clock.ts";
import { closedError, type Ending, lossError, SqlError } from "../sql/failure.ts";
import type { RunnableSession } from "../sql/runner.ts";
import { Connection, Request, TYPES } from "./client.ts";
import { connectError, endsSession, fatalError, replyError } from "./failures.ts";
import type { ServerPlan } from "./server-plan.ts";
import type { ParameterKind, Statement } from "./statements.ts";
import type { Tokens } from "./token.ts";

export interface SessionOptions {
  readonly plan: ServerPlan;
  /** Null: the user's own, to make the plan's. */
  readonly database: string | null;
  /** PEM text of the authorities; null: those that the system trusts. */
  readonly authority: string | null;
  /** Of Microsoft Entra ID; null: user and password of the plan. */
  readonly token: Tokens | null;
  /** What sys.dm_exec_sessions shows as program_name, unless the connection string says another. */
  readonly applicationName: string;
  /** After which the server itself gives up to wait for a lock. */
  readonly lockMs: number;
  readonly clock: Clock;
}

export type Value = string | number | boolean | Buffer | null;
export type Values = Readonly<Record<string, Value>>;
export type Row = Readonly<Record<string, unknown>>;

/** The field that says how long a call may take. */
export const TIME_FIELD = "timeoutInSeconds";
/** By which the client's own limit comes after ours, which covers all of an opening. */
const CONNECT_LATER_MS = 1000;
/** How long the server may take to stop a statement; then the connection is cut. */
const STOP_MS = 1000;
/** Beyond what a type holds without MAX, so that the declaration is that of MAX, whatever the value. */
const MAX_LENGTH = 0xffff;

const KINDS: Readonly<Record<ParameterKind, { readonly type: keyof typeof TYPES; readonly length?: number }>> = {
  key: { type: "NVarChar", length: 4000 },
  text: { type: "NVarChar", length: MAX_LENGTH },
  bytes: { type: "VarBinary", length: MAX_LENGTH },
  version: { type: "Binary", length: 8 },
  whole: { type: "Int" },
  flag: { type: "Bit" },
};

/** A transaction ends by one of two ways; the server rolls back by itself when the connection ends. */
type Step = "begin" | "commit" | "rollback";

export class Session implements RunnableSession {
  readonly server: string;
  readonly openedMs: number;
  /** The server is told to stop over the connection itself, in which nothing else can be under way. */
  readonly cancel: null = null;
  readonly outlives: boolean = true;
  readonly #client: Client;
  readonly #ended: PromiseWithResolvers<void> = Promise.withResolvers();
  #ending: Ending | null = null;
  #inTransaction = false;
  /** Of what is under way, also after it was given up. */
  #busy: PromiseWithResolvers<void> | null = null;
  /** Rejects what is under way; null when it was given up, or answered. */
  #fail: ((error: SqlError) => void) | null = null;
  #isLasting = false;

  private constructor(client: Client, { plan, clock }: SessionOptions) {
    this.#client = client;
    this.server = nameOf(plan);
    this.openedMs = clock.monotonicMs();
    // Without a listener an error would end the process; the end of the connection tells all that is needed.
    client.on("error", () => this.#lose("broken"));
    client.on("end", () => {
      this.#lose("broken");
      this.#busy?.resolve();
      this.#busy = null;
      this.#ended.resolve();
    });
  }

  /** Connects, or rejects with a SqlError and leaves nothing open. */
  static async open(options: SessionOptions, signal: AbortSignal): Promise<Session> {
    const { plan, clock } = options;
    const late = new AbortController();
    const timer = clock.after(plan.connectMs, () => late.abort());
    const over = AbortSignal.any([signal, late.signal]);
    try {
      const token = options.token === null ? null : await Promise.race([options.token(over), abortOf(over)]);
      return await Session.#openWith(token, options, over);
    } catch (error) {
      if (signal.aborted) throw closedError();
      if (!late.signal.aborted) throw error;
      throw new SqlError("unavailable", `cannot connect to ${nameOf(plan)}: no answer within ${plan.connectMs} ms`);
    } finally {
      timer.cancel();
    }
  }

  static async #openWith(token: string | null, options: SessionOptions, signal: AbortSignal): Promise<Session> {
    if (signal.aborted) throw closedError();
    const client = new Connection(configurationOf(options, token));
    const session = new Session(client, options);
    let number: number | null = null;
    client.on("errorMessage", (message) => {
      number ??= message.number;
    });
    const leave = (): void => client.close();
    signal.addEventListener("abort", leave, { once: true });
    try {
      await connected(client);
      await session.run(setupOf(options));
      return session;
    } catch (error) {
      client.close();
      await session.ended;
      throw connectError(session.server, error, number);
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  get reusable(): boolean {
    // The server tells the client of every transaction, also of one that a statement has begun and not ended.
    return this.#ending === null && !this.#inTransaction && !this.#client.inTransaction && this.#busy === null;
  }

  get alive(): boolean {
    return this.#ending === null;
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  get idle(): Promise<void> | null {
    return this.#busy?.promise ?? null;
  }

  /** Runs a statement and gives its rows. Rejects with a SqlError. */
  run(statement: Statement, values: Values = {}): Promise<readonly Row[]> {
    const rows: Row[] = [];
    return this.#send(statement.lasting, (done) => {
      const request = new Request(statement.text, (error) => done(error));
      request.on("row", (columns: readonly Column[]) => void rows.push(rowOf(columns)));
      for (const [name, kind] of statement.parameters) addParameter(request, name, kind, values[name]);
      // Without parameters it is a batch of its own, in which a session's settings stay.
      if (statement.parameters.length > 0) this.#client.execSql(request);
      else this.#client.execSqlBatch(request);
    }).then(() => rows);
  }

  /** Begins a transaction at READ COMMITTED. */
  async begin(): Promise<void> {
    await this.#step("begin");
    this.#inTransaction = true;
  }

  async commit(): Promise<void> {
    await this.#step("commit");
    this.#inTransaction = false;
  }

  /** Of no effect where the server has done it already, as after an error with XACT_ABORT on. */
  async rollback(): Promise<void> {
    if (this.#client.inTransaction) await this.#step("rollback");
    this.#inTransaction = false;
  }

  interrupt(ending: Ending): void {
    if (this.#fail === null) return;
    this.#giveUp(ending);
    this.#client.cancel();
  }

  close(): void {
    this.destroy("closed");
  }

  destroy(ending: Ending): void {
    this.#lose(ending);
    this.#client.close();
  }

  #step(step: Step): Promise<void> {
    return this.#send(step === "commit", (done) => {
      if (step === "begin") this.#client.beginTransaction(done);
      else if (step === "commit") this.#client.commitTransaction(done);
      else this.#client.rollbackTransaction(done);
    });
  }

  /** `start` sends something and has `done` called once, whatever comes. */
  #send(lasting: boolean, start: (done: (error: Error | null | undefined) => void) => void): Promise<void> {
    if (this.#ending !== null || this.#busy !== null)
      return Promise.reject(this.#lossError(this.#ending ?? "broken", false));
    const busy = Promise.withResolvers<void>();
    this.#busy = busy;
    return new Promise((resolve, reject) => {
      this.#fail = reject;
      this.#isLasting = lasting;
      start((error) => {
        const isHeard = this.#fail !== null;
        this.#fail = null;
        this.#busy = null;
        busy.resolve();
        // The end of the connection has been told already, or nobody waits for the answer any more.
        if (!isHeard) return;
        if (error === null || error === undefined) resolve();
        else reject(this.#explain(error, lasting));
      });
    });
  }

  #lose(ending: Ending): void {
    this.#ending ??= ending;
    this.#giveUp(this.#ending);
  }

  #giveUp(ending: Ending): void {
    const fail = this.#fail;
    this.#fail = null;
    fail?.(this.#lossError(ending, this.#isLasting));
  }

  #lossError(ending: Ending, lasting: boolean): SqlError {
    return lossError({ ending, lasting, server: this.server, timeField: TIME_FIELD });
  }

  #explain(error: Error, lasting: boolean): SqlError {
    const reply = replyOf(error);
    if (reply === null) {
      this.destroy("broken");
      return this.#lossError(this.#ending ?? "broken", lasting);
    }
    if (reply.isEnd) {
      this.destroy("broken");
      return fatalError(reply.number, this.server, lasting);
    }
    const failure = replyError(reply.number, this.server);
    if (failure.again === "elsewhere") this.destroy("broken");
    return failure;
  }
}

interface Column {
  readonly value: unknown;
  readonly metadata: { readonly colName: string };
}

function rowOf(columns: readonly Column[]): Row {
  return Object.fromEntries(columns.map(({ value, metadata }) => [metadata.colName, value]));
}

function addParameter(request: ClientRequest, name: string, kind: ParameterKind, value: Value | undefined): void {
  if (value === undefined) throw new TypeError(`the parameter ${name} has no value`);
  const { type, length } = KINDS[kind];
  request.addParameter(name, TYPES[type], value, length === undefined ? {} : { length });
}

/** Rejects when the signal aborts: not everything that asks for a token heeds it. */
function abortOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(closedError());
    signal.addEventListener("abort", () => reject(closedError()), { once: true });
  });
}

function connected(client: Client): Promise<void> {
  return new Promise((resolve, reject) => {
    client.connect((error) => (error === undefined ? resolve() : reject(error)));
  });
}

interface Reply {
  readonly number: number;
  /** The server has ended the connection with it. */
  readonly isEnd: boolean;
}

/** The server's error that ended the connection, else its first one; null when the client itself gave up. */
function replyOf(error: Error): Reply | null {
  const errors: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
  const replies = errors.map(toReply).filter((reply) => reply !== null);
  return replies.find(({ isEnd }) => isEnd) ?? replies[0] ?? null;
}

function toReply(error: unknown): Reply | null {
  if (!(error instanceof Error && "number" in error && typeof error.number === "number" && error.number > 0))
    return null;
  const severity = "class" in error && typeof error.class === "number" ? error.class : 0;
  return { number: error.number, isEnd: endsSession(error.number, severity) };
}

/** As messages name it. */
export function nameOf({ host, port, instance }: ServerPlan): string {
  const address = host.includes(":") ? `[${host}]` : host;
  return `sqlserver at ${port === null ? `${address}\\${instance}` : `${address}:${port}`}`;
}

function configurationOf(options: SessionOptions, token: string | null): ConnectionConfiguration {
  const { plan, database, authority, applicationName } = options;
  const { signIn } = plan;
  const isPassword = signIn.kind === "password";
  return {
    server: plan.host,
    authentication: isPassword
      ? { type: "default", options: { userName: signIn.user, password: signIn.password } }
      : { type: "azure-active-directory-access-token", options: { token: token ?? "" } },
    options: {
      ...(plan.port === null ? { instanceName: plan.instance ?? "" } : { port: plan.port }),
      ...(database === null ? {} : { database }),
      ...(plan.certificateName === null ? {} : { serverName: plan.certificateName }),
      ...(plan.workstation === null ? {} : { workstationId: plan.workstation }),
      ...(authority === null ? {} : { cryptoCredentialsDetails: { ca: authority } }),
      appName: plan.applicationName ?? applicationName,
      encrypt: plan.encryption === "strict" ? "strict" : plan.encryption === "tls",
      trustServerCertificate: plan.trustsAnyone,
      multiSubnetFailover: plan.multiSubnetFailover,
      packetSize: plan.packetSize,
      connectTimeout: plan.connectMs + CONNECT_LATER_MS,
      cancelTimeout: STOP_MS,
      // The runner bounds every call, and the pool tries again.
      requestTimeout: 0,
      maxRetriesOnTransientErrors: 0,
    },
  };
}

/**
 * What the statements count on. An error undoes its transaction in any case; a lock is waited for so long; the server's own
 * settings of a session (`user options`) have no say.
 */
function setupOf({ lockMs }: SessionOptions): Statement {
  const settings = [
    "XACT_ABORT ON",
    "NOCOUNT ON",
    `LOCK_TIMEOUT ${lockMs}`,
    "TRANSACTION ISOLATION LEVEL READ COMMITTED",
  ];
  return { text: settings.map((each) => `SET ${each};`).join(" "), lasting: false, parameters: [] };
}
