// Runs a batch of jobs as one transaction: the writes that waited share one commit, and with it one flush to the disk,
// and a failing one does not undo its neighbours. Runs in a database thread.
import { type Connection, connect } from "./connection.ts";
import { explain, Failed, needsReconnect, type Scene } from "./failures.ts";
import { type Round, runJob } from "./jobs.ts";
import type { Answer, Job, Report, ThreadSettings } from "./messages.ts";

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
      return this.#transact(jobs, nowMs, outgoing);
    } finally {
      freeValues(jobs);
    }
  }

  /** The last connection to close moves the write-ahead log into the database file. */
  close(): void {
    this.#connection?.database.close();
    this.#connection = null;
  }

  #transact(jobs: readonly Job[], nowMs: number, outgoing: ArrayBuffer[]): readonly Answer[] {
    let committing = false;
    try {
      const connection = this.#connected();
      const { database } = connection;
      connection.mustBeInPlace();
      const writes = jobs.some(isWrite);
      database.exec(writes ? "BEGIN IMMEDIATE" : "BEGIN");
      const round: Round = { connection, nowMs, nowSec: Math.floor(nowMs / 1000), outgoing };
      const answers = jobs.map((job) => this.#answer(round, job));
      committing = writes;
      database.exec("COMMIT");
      // Once more: a commit to a file that is no longer at its path is lost, and must not be acknowledged.
      if (writes) connection.mustBeInPlace();
      return answers;
    } catch (error) {
      const failure = explain(error, this.#scene(committing));
      this.#recover(error);
      return jobs.map(() => ({ failure }));
    }
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
  return job.kind === "apply" || job.kind === "cleanup";
}

/** The batch goes on without this job: its condition did not hold, its value is too large. A broken file ends it. */
function isJobsOwn(error: unknown, connection: Connection): boolean {
  if (error instanceof Failed) return true;
  return connection.database.isTransaction && !needsReconnect(error);
}
