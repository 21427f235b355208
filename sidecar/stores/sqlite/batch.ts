// Runs a batch of jobs as one transaction: the writes that waited share one commit, and with it one flush to the disk,
// and a failing one fails alone. Runs in a database thread.
import { type Connection, connect } from "./connection.ts";
import { explain, Failed, needsReconnect, primaryCode, type Scene, SQLITE } from "./failures.ts";
import { type Round, runJob } from "./jobs.ts";
import { type Answer, isChange, type Job, type Report, type ThreadSettings } from "./messages.ts";

type Stage = "beginning" | "working" | "committing";

/** What a transaction came to. */
interface Ending {
  readonly answers: readonly Answer[];
  /** Null when it was committed. */
  readonly failedAt: Stage | null;
  /** One of its jobs undid it for all: the others may fit without that one. */
  readonly undoneByJob: boolean;
}

/** The database of one thread: a connection that is opened again after it was lost. */
export class BatchRunner {
  readonly #settings: ThreadSettings;
  #connection: Connection | null = null;

  constructor(settings: ThreadSettings) {
    this.#settings = settings;
  }

  open(): Report {
    try {
      return { kind: "opened", journalMode: this.#connected().journalMode };
    } catch (error) {
      return { kind: "refused", failure: explain(error, this.#scene(false)) };
    }
  }

  /**
   * Gives one answer per job, after the commit; pushes the memory that moves with them to `outgoing`. The values of the
   * jobs are freed: they belong to this thread.
   */
  run(jobs: readonly Job[], nowMs: number, outgoing: ArrayBuffer[]): readonly Answer[] {
    try {
      const { answers, undoneByJob } = this.#transact(jobs, nowMs, outgoing);
      if (!undoneByJob || jobs.length === 1) return answers;
      outgoing.length = 0;
      return this.#oneByOne(jobs, nowMs, outgoing);
    } finally {
      freeValues(jobs);
    }
  }

  /** The last connection to close moves the write-ahead log into the database file. */
  close(): void {
    this.#connection?.database.close();
    this.#connection = null;
  }

  /** Each job in a transaction of its own, in their order: nothing of the shared one was kept or acknowledged. */
  #oneByOne(jobs: readonly Job[], nowMs: number, outgoing: ArrayBuffer[]): readonly Answer[] {
    const answers: Answer[] = [];
    for (const job of jobs) {
      const ending = this.#transact([job], nowMs, outgoing);
      answers.push(...ending.answers);
      // What keeps one transaction from its beginning keeps all: no waiting for the same lock job by job.
      if (ending.failedAt === "beginning")
        return [...answers, ...jobs.slice(answers.length).flatMap(() => ending.answers)];
    }
    return answers;
  }

  #transact(jobs: readonly Job[], nowMs: number, outgoing: ArrayBuffer[]): Ending {
    let stage: Stage = "beginning";
    const writes = jobs.some(isWrite);
    try {
      const connection = this.#connected();
      const { database } = connection;
      connection.mustBeInPlace();
      database.exec(writes ? "BEGIN IMMEDIATE" : "BEGIN");
      stage = "working";
      const round: Round = { connection, nowMs, nowSec: Math.floor(nowMs / 1000), outgoing };
      const answers = jobs.map((job) => this.#answer(round, job));
      stage = "committing";
      database.exec("COMMIT");
      // Once more: a commit to a file that is no longer at its path is lost, and must not be acknowledged.
      if (writes) connection.mustBeInPlace();
      return { answers, failedAt: null, undoneByJob: false };
    } catch (error) {
      const failure = explain(error, this.#scene(writes && stage === "committing"));
      const undoneByJob = this.#isUndoneByJob(error, stage);
      this.#recover(error);
      return { answers: jobs.map(() => ({ failure })), failedAt: stage, undoneByJob };
    }
  }

  /** SQLite rolls the whole transaction back when a statement finds no space, no memory, or a failing disk. */
  #isUndoneByJob(error: unknown, stage: Stage): boolean {
    if (stage === "working") return this.#connection?.database.isTransaction === false;
    // The commit writes pages too. After any other failure there the outcome may be open, and nothing may run again.
    return stage === "committing" && primaryCode(error) === SQLITE.FULL;
  }

  #connected(): Connection {
    this.#connection ??= connect(this.#settings);
    return this.#connection;
  }

  #answer(round: Round, job: Job): Answer {
    try {
      return { result: runJob(round, job) };
    } catch (error) {
      if (!isJobsOwn(error, round.connection)) throw error;
      return { failure: explain(error, this.#scene(false)) };
    }
  }

  /** After a failed batch nothing of it may stay open: neither its transaction nor a connection that lost its file. */
  #recover(error: unknown): void {
    const database = this.#connection?.database;
    if (database === undefined) return;
    if (needsReconnect(error)) this.close();
    else if (database.isTransaction) database.exec("ROLLBACK");
  }

  #scene(committing: boolean): Scene {
    return { path: this.#settings.location.path, busyTimeoutMs: this.#settings.busyTimeoutMs, committing };
  }
}

/** Gives the memory back at once: as garbage it would pile up to some 60 MB, because V8 counts it late (decisions/0005). */
function freeValues(jobs: readonly Job[]): void {
  for (const job of jobs) {
    if (job.kind === "apply") for (const { value } of job.changes) value?.buffer.transfer(0);
  }
}

function isWrite(job: Job): boolean {
  return isChange(job) || job.kind === "cleanup";
}

/** The batch goes on without this job: its condition did not hold, its value is too large. A broken file ends it. */
function isJobsOwn(error: unknown, connection: Connection): boolean {
  if (error instanceof Failed) return true;
  return connection.database.isTransaction && !needsReconnect(error);
}
