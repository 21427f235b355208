// The Store of state.mysql: calls become statements of Dapr's layout. What differs from Dapr on purpose is in
// docs/stores/mysql.md.
import type { Clock } from "#kit/clock.ts";
import type { Random } from "#kit/random.ts";
import type { Cleanup } from "../sql/cleanup.ts";
import type { Pool } from "../sql/pool.ts";
import type { Runner, Work } from "../sql/runner.ts";
import type {
  Call,
  Change,
  Features,
  Found,
  KeyRange,
  Limits,
  ListPage,
  ListRequest,
  Read,
  Removal,
  Store,
  Traits,
  Write,
} from "../store.ts";
import { StoreError } from "../store.ts";
import {
  capabilities,
  featuresOf,
  limitsOf,
  mustBeText,
  mustEnd,
  mustFit,
  noText,
  type Table,
  toColumns,
  toFound,
  traits,
  type ValueColumns,
} from "./layout.ts";
import type { Answer, Parameter, Row, Session, Statement } from "./session.ts";
import { keysPadded, type Statements } from "./statements.ts";
import { apply, collision, toBatch } from "./transaction.ts";
import { countRange, listPage, removeRange, type WalkStatements } from "./walk.ts";

export interface MysqlStoreParts {
  readonly table: Table;
  readonly lossyValues: boolean;
  readonly sql: Statements;
  readonly pool: Pool<Session>;
  readonly runner: Runner<Session>;
  readonly cleanup: Cleanup;
  readonly clock: Clock;
  readonly random: Random;
}

export class MysqlStore implements Store {
  readonly features: Features;
  readonly capabilities: readonly string[] = capabilities;
  readonly defaultTtlSec = null;
  readonly limits: Limits;
  readonly traits: Traits = traits;
  readonly #parts: MysqlStoreParts;
  readonly #sql: Statements;

  constructor(parts: MysqlStoreParts) {
    this.#parts = parts;
    this.#sql = parts.sql;
    this.limits = limitsOf(parts.table);
    this.features = featuresOf(parts.table);
  }

  async get(key: string, _read: Read, call: Call): Promise<Found | null> {
    mustBeText(key);
    const [row] = (await this.#statement("read", call, this.#sql.get, [key, key])).rows;
    return row === undefined ? null : toFound(row);
  }

  async set(write: Write, call: Call): Promise<void> {
    const { key, etag, firstWrite, ttlSec } = write;
    mustFit(key);
    const { value, isBinary } = this.#toColumns(write);
    const row = [value, isBinary, this.#parts.random.uuid(), ttlSec === null ? null : String(ttlSec)];
    if (etag !== null) {
      const { changed } = await this.#statement("write", call, this.#sql.replace, [...row, key, key, etag]);
      if (changed === 0) throw otherEtag();
      return;
    }
    const statement = firstWrite ? this.#sql.create : this.#sql.put;
    const { changed } = await this.#statement("write", call, statement, [key, ...row]);
    if (changed === 0) throw await this.#whyUnchanged(key, call);
  }

  /** First-write has no say in a delete (dapr-state-stores.md 1). */
  async remove({ key, etag }: Removal, call: Call): Promise<void> {
    mustBeText(key);
    if (etag === null) {
      await this.#statement("write", call, this.#sql.remove, [key, key]);
      return;
    }
    const { changed } = await this.#statement("write", call, this.#sql.removeIf, [key, key, etag]);
    if (changed === 0) throw otherEtag();
  }

  /** In lists, which are not one snapshot: the contract asks for none. */
  async getMany(keys: readonly string[], _read: Read, call: Call): Promise<readonly (Found | null | StoreError)[]> {
    const answers = new Map<string, Found | StoreError>();
    const distinct = [...new Set(keys)].filter((key) => key.isWellFormed());
    await this.run("read", call, async (session) => {
      answers.clear();
      for (const padded of keysPadded(distinct)) {
        const { rows } = await session.run(this.#sql.getMany(padded.length), padded);
        for (const row of rows) answers.set(String(row.id), itemOf(row));
      }
    });
    return keys.map((key) => (key.isWellFormed() ? (answers.get(key) ?? null) : noText()));
  }

  async transact(changes: readonly Change[], call: Call): Promise<void> {
    const { random } = this.#parts;
    const options = { toColumns: (write: Write) => this.#toColumns(write), newEtag: () => random.uuid() };
    const batch = toBatch(changes, options);
    await this.run("write", call, (session) => apply(session, this.#sql, batch));
  }

  async ping(call: Call): Promise<void> {
    await this.#statement("read", call, this.#sql.ping, []);
  }

  async close(): Promise<void> {
    this.#parts.cleanup.close();
    await this.#parts.pool.close();
  }

  #toColumns(write: Write): ValueColumns {
    const { table, lossyValues, clock } = this.#parts;
    mustEnd(write.ttlSec, clock.nowMs());
    return toColumns(write, { table, lossyValues, valueBytesMax: this.limits.valueBytesMax });
  }

  /** Either a live value is there, or a row whose key the collation takes for the same. */
  async #whyUnchanged(key: string, call: Call): Promise<StoreError> {
    const [row] = (await this.#statement("read", call, this.#sql.find, [key])).rows;
    return row === undefined || row.id === key
      ? new StoreError("etag-mismatch", "item already exists and no etag was passed")
      : collision("");
  }

  #statement(
    effect: Work<Session, Answer>["effect"],
    call: Call,
    statement: Statement,
    values: readonly Parameter[],
  ): Promise<Answer> {
    return this.run(effect, call, (session) => session.run(statement, values));
  }

  protected run<T>(
    effect: Work<Session, T>["effect"],
    { signal }: Call,
    task: (session: Session) => Promise<T>,
  ): Promise<T> {
    return this.#parts.runner.run({ effect, signal, task });
  }
}

/** A store over a table along whose keys one can walk. */
export class WalkableMysqlStore extends MysqlStore {
  readonly #walks: WalkStatements & Statements;

  constructor(parts: MysqlStoreParts, walks: WalkStatements) {
    super(parts);
    this.#walks = { ...parts.sql, ...walks };
  }

  list(request: ListRequest, call: Call): Promise<ListPage> {
    return this.run("read", call, (session) => listPage(session, this.#walks, request));
  }

  count(range: KeyRange, call: Call): Promise<number> {
    return this.run("read", call, (session) => countRange(session, this.#walks, range));
  }

  removeRange(range: KeyRange, limit: number, call: Call): Promise<number> {
    return this.run("write", call, (session) => removeRange(session, this.#walks, range, limit));
  }
}

/** A row that cannot be read fails alone. */
function itemOf(row: Row): Found | StoreError {
  try {
    return toFound(row);
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
}

function otherEtag(): StoreError {
  return new StoreError("etag-mismatch", "the value has another etag than the one passed, or there is none");
}
