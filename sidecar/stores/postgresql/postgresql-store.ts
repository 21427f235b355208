// The Store of state.postgresql: calls become statements of its layout. What differs from Dapr on purpose is in
// docs/stores/postgresql.md.
import { alreadyThere, otherEtag } from "../sql/batch.ts";
import type { Cleanup } from "../sql/cleanup.ts";
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
import { isText, mustBeText, mustFit, noText } from "./keys.ts";
import { type Layout, toFound } from "./layout.ts";
import type { Session } from "./session.ts";
import type { Statements } from "./statements.ts";
import { apply, toBatch } from "./transaction.ts";
import { countRange, listPage, removeRange, type WalkStatements } from "./walk.ts";
import type { WalkIndex } from "./walk-index.ts";

export interface PostgresStoreParts {
  readonly layout: Layout;
  readonly sql: Statements;
  readonly walks: WalkStatements;
  readonly pool: Pool<Session>;
  readonly runner: Runner<Session>;
  readonly cleanup: Cleanup;
  /** Null where walks need no index of their own. */
  readonly walkIndex: WalkIndex | null;
}

/** Keys of a bulk read that one statement asks for. */
const BULK_CHUNK = 1000;

export class PostgresStore implements Store {
  readonly features: Features;
  readonly limits: Limits;
  readonly traits: Traits;
  readonly capabilities: readonly string[];
  readonly defaultTtlSec = null;
  protected readonly parts: PostgresStoreParts;
  readonly #layout: Layout;
  readonly #sql: Statements;

  constructor(parts: PostgresStoreParts) {
    this.parts = parts;
    this.#layout = parts.layout;
    this.#sql = parts.sql;
    this.features = parts.layout.features;
    this.limits = parts.layout.limits;
    this.traits = parts.layout.traits;
    this.capabilities = parts.layout.capabilities;
  }

  async get(key: string, _read: Read, call: Call): Promise<Found | null> {
    mustBeText(key);
    const { rows } = await this.run("read", call, (session) => session.run(this.#sql.get, [key]));
    const [row] = rows;
    return row === undefined ? null : toFound(this.#layout, row);
  }

  async set(write: Write, call: Call): Promise<void> {
    mustFit(write.key);
    const { key, etag, firstWrite, ttlSec } = write;
    const row = [key, ttlSec, ...this.#layout.toColumns(write)];
    if (etag !== null) {
      const parameters = [...row, this.#layout.toEtag(etag)];
      const { count } = await this.run("write", call, (session) => session.run(this.#sql.replace, parameters));
      if (count === 0) throw otherEtag();
      return;
    }
    const statement = firstWrite ? this.#sql.create : this.#sql.put;
    const { count } = await this.run("write", call, (session) => session.run(statement, row));
    if (count === 0) throw alreadyThere("");
  }

  /** First-write has no say in a delete (dapr-state-stores.md 1). */
  async remove({ key, etag }: Removal, call: Call): Promise<void> {
    mustBeText(key);
    if (etag === null) {
      await this.run("write", call, (session) => session.run(this.#sql.remove, [key]));
      return;
    }
    const parameters = [key, this.#layout.toEtag(etag)];
    const { count } = await this.run("write", call, (session) => session.run(this.#sql.removeIf, parameters));
    if (count === 0) throw otherEtag();
  }

  /** In chunks, which are not one snapshot: the contract asks for none. */
  async getMany(keys: readonly string[], _read: Read, call: Call): Promise<readonly (Found | null | StoreError)[]> {
    const distinct = [...new Set(keys)].filter(isText);
    const answers = new Map<string, Found | StoreError>();
    await this.run("read", call, async (session) => {
      answers.clear();
      for (let at = 0; at < distinct.length; at += BULK_CHUNK) {
        const { rows } = await session.run(this.#sql.getMany, [distinct.slice(at, at + BULK_CHUNK)]);
        for (const row of rows) {
          const item = orError(() => toFound(this.#layout, row));
          answers.set(String(row.key), item);
        }
      }
    });
    return keys.map((key) => (isText(key) ? (answers.get(key) ?? null) : noText()));
  }

  async transact(changes: readonly Change[], call: Call): Promise<void> {
    const batch = toBatch(this.#layout, changes);
    await this.run("write", call, (session) => apply(session, this.#sql, batch));
  }

  async ping(call: Call): Promise<void> {
    await this.run("read", call, (session) => session.run(this.#sql.ping));
  }

  async close(): Promise<void> {
    this.parts.cleanup.close();
    this.parts.walkIndex?.close();
    await this.parts.pool.close();
  }

  protected run<T>(effect: Effect, { signal }: Call, task: (session: Session) => Promise<T>): Promise<T> {
    return this.parts.runner.run({ effect, signal, task });
  }
}

/** The same where walks go along an index. */
export class WalkablePostgresStore extends PostgresStore {
  list(request: ListRequest, call: Call): Promise<ListPage> {
    return this.#walk("read", call, (session) => listPage(session, this.parts.walks, this.parts.layout, request));
  }

  count(range: KeyRange, call: Call): Promise<number> {
    return this.#walk("read", call, (session) => countRange(session, this.parts.walks, range));
  }

  removeRange(range: KeyRange, limit: number, call: Call): Promise<number> {
    return this.#walk("write", call, (session) => removeRange(session, this.parts.walks, range, limit));
  }

  async #walk<T>(effect: Effect, call: Call, task: (session: Session) => Promise<T>): Promise<T> {
    this.parts.walkIndex?.admit();
    const result = await this.run(effect, call, task);
    this.parts.walkIndex?.ask();
    return result;
  }
}
