// The Store of state.sqlserver: calls become statements of Dapr's layout. What differs from Dapr on purpose is in
// docs/stores/sqlserver.md.
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
  Traits,
  Write,
} from "../store.ts";
import { StoreError } from "../store.ts";
import { KEY_LENGTH_MAX } from "./fields.ts";
import type { KeyColumn } from "./keys.ts";
import { capabilities, featuresOf, limitsOf, toFound, toVersion, traits, type ValueColumn } from "./layout.ts";
import type { Row, Session, Values } from "./session.ts";
import { changedIn, keyValues, type Statement, type Statements } from "./statements.ts";
import { apply, toBatch } from "./transaction.ts";
import { countRange, listPage, removeRange, type Walk, type WalkStatements } from "./walk.ts";

export interface SqlServerStoreParts {
  readonly key: KeyColumn;
  readonly value: ValueColumn;
  readonly sql: Statements;
  /** Keys that one statement of a bulk read asks for. */
  readonly bulkKeys: number;
  readonly pool: Pool<Session>;
  readonly runner: Runner<Session>;
  readonly cleanup: Cleanup;
}

export class SqlServerStore implements Store {
  readonly features: Features;
  readonly capabilities: readonly string[] = capabilities;
  readonly defaultTtlSec = null;
  readonly limits: Limits;
  readonly traits: Traits = traits;
  readonly #parts: SqlServerStoreParts;
  readonly #sql: Statements;

  constructor(parts: SqlServerStoreParts) {
    this.#parts = parts;
    this.#sql = parts.sql;
    this.limits = limitsOf(parts.key);
    this.features = featuresOf(parts.key);
  }

  async get(key: string, _read: Read, call: Call): Promise<Found | null> {
    if (!this.#canBe(key)) return null;
    const [row] = await this.#statement("read", call, this.#sql.get, { Key: key });
    return row === undefined ? null : toFound(row, this.#parts.value);
  }

  async set(write: Write, call: Call): Promise<void> {
    const { key, etag, firstWrite, ttlSec } = write;
    this.#mustFit(key);
    const values = { Key: key, ...this.#toValues(write), TTL: ttlSec };
    if (etag !== null) {
      const version = mustBeVersion(etag);
      const rows = await this.#statement("write", call, this.#sql.replace, { ...values, RowVersion: version });
      if (changedIn(rows) === 0) throw otherEtag();
    } else if (firstWrite) {
      const rows = await this.#statement("write", call, this.#sql.create, values);
      if (changedIn(rows) === 0) throw alreadyThere("");
    } else await this.#statement("write", call, this.#sql.put, values);
  }

  /** First-write has no say in a delete (dapr-state-stores.md 1). */
  async remove({ key, etag }: Removal, call: Call): Promise<void> {
    const version = etag === null ? null : mustBeVersion(etag);
    if (!this.#canBe(key)) {
      if (version !== null) throw otherEtag();
      return;
    }
    if (version === null) await this.#statement("write", call, this.#sql.remove, { Key: key });
    else {
      const rows = await this.#statement("write", call, this.#sql.removeIf, { Key: key, RowVersion: version });
      if (changedIn(rows) === 0) throw otherEtag();
    }
  }

  /** In lists, which are not one snapshot: the contract asks for none. */
  async getMany(keys: readonly string[], _read: Read, call: Call): Promise<readonly (Found | null | StoreError)[]> {
    const { value, bulkKeys } = this.#parts;
    const unfit = new Map<string, StoreError>();
    const asked = [...new Set(keys)].filter((key) => this.#canBe(key, (error) => unfit.set(key, error)));
    const answers = new Map<string, Found | StoreError>();
    await this.run("read", call, async (session) => {
      answers.clear();
      for (const padded of keysPadded(asked, bulkKeys)) {
        for (const row of await session.run(this.#sql.getMany(padded.length), keyValues(padded))) {
          const item = orError(() => toFound(row, value));
          answers.set(String(row.Key), item);
        }
      }
    });
    return keys.map((key) => unfit.get(key) ?? answers.get(key) ?? null);
  }

  async transact(changes: readonly Change[], call: Call): Promise<void> {
    const batch = toBatch(changes, {
      checkKey: (key, isWritten) => (isWritten ? this.#mustFit(key) : this.#parts.key.check(key)),
      toValues: (write) => this.#toValues(write),
      toVersion,
    });
    await this.run("write", call, (session) => apply(session, this.#sql, batch));
  }

  async ping(call: Call): Promise<void> {
    await this.#statement("read", call, this.#sql.ping, {});
  }

  async close(): Promise<void> {
    this.#parts.cleanup.close();
    await this.#parts.pool.close();
  }

  #toValues(write: Write): Values {
    const { valueBytesMax } = this.limits;
    if (valueBytesMax !== null && write.bytes.length > valueBytesMax)
      throw new StoreError("refused", `the value has more than ${valueBytesMax} bytes`);
    return this.#parts.value.toValues(write);
  }

  #mustFit(key: string): void {
    const { bytesMax, check } = this.#parts.key;
    check(key);
    if (Buffer.byteLength(key) > bytesMax)
      throw new StoreError("refused", `a key of more than ${bytesMax} bytes does not fit into the table`);
  }

  /** False for a key that no column is long enough for. Throws, or tells `refuse`, what its type can never hold. */
  #canBe(key: string, refuse?: (error: StoreError) => void): boolean {
    try {
      this.#parts.key.check(key);
    } catch (error) {
      if (refuse === undefined || !(error instanceof StoreError)) throw error;
      refuse(error);
      return false;
    }
    return key.length <= KEY_LENGTH_MAX;
  }

  #statement(effect: Effect, call: Call, statement: Statement, values: Values): Promise<readonly Row[]> {
    return this.run(effect, call, (session) => session.run(statement, values));
  }

  protected run<T>(effect: Effect, { signal }: Call, task: (session: Session) => Promise<T>): Promise<T> {
    return this.#parts.runner.run({ effect, signal, task });
  }
}

/** A store over a table along whose keys one can walk. */
export class WalkableSqlServerStore extends SqlServerStore {
  readonly #walk: Omit<Walk, "session">;

  constructor(parts: SqlServerStoreParts, walks: WalkStatements) {
    super(parts);
    this.#walk = { value: parts.value, sql: { ...parts.sql, ...walks } };
  }

  list(request: ListRequest, call: Call): Promise<ListPage> {
    return this.run("read", call, (session) => listPage({ ...this.#walk, session }, request));
  }

  count(range: KeyRange, call: Call): Promise<number> {
    return this.run("read", call, (session) => countRange({ ...this.#walk, session }, range));
  }

  removeRange(range: KeyRange, limit: number, call: Call): Promise<number> {
    return this.run("write", call, (session) => removeRange({ ...this.#walk, session }, range, limit));
  }
}

function mustBeVersion(etag: string): Buffer {
  const version = toVersion(etag);
  if (version === null) throw otherEtag();
  return version;
}
