// The Store of state.mysql: calls become statements of Dapr's layout. What differs from Dapr on purpose is in
// docs/stores/mysql.md.
import type { Clock } from "#kit/clock.ts";
import type { Random } from "#kit/random.ts";
import { alreadyThere, otherEtag } from "../sql/batch.ts";
import type { Cleanup } from "../sql/cleanup.ts";
import { keysPadded } from "../sql/lists.ts";
import type { Pool } from "../sql/pool.ts";
import { orError } from "../sql/rows.ts";
import type { Effect, Runner } from "../sql/runner.ts";
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
  StoreError,
  Traits,
  Write,
} from "../store.ts";
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
import type { Answer, Parameter, Session, Statement } from "./session.ts";
import { KEYS_MAX, type Statements } from "./statements.ts";
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
      for (const padded of keysPadded(distinct, KEYS_MAX)) {
        const { rows } = await session.run(this.#sql.getMany(padded.length), padded);
        for (const row of rows) {
          const item = orError(() => toFound(row));
          answers.set(String(row.id), item);
        }
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
    return row === undefined || row.id === key ? alreadyThere("") : collision("");
  }

  #statement(effect: Effect, call: Call, statement: Statement, values: readonly Parameter[]): Promise<Answer> {
    return this.run(effect, call, (session) => session.run(statement, values));
  }

  protected run<T>(effect: Effect, { signal }: Call, task: (session: Session) => Promise<T>): Promise<T> {
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
