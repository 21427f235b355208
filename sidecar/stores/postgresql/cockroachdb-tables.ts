// The table of state.cockroachdb v1 as Dapr makes it, or completes an older one, at every start and without a number of the
// layout (dapr-state-stores.md 5b). Each statement stands for itself and may have been run before.
import { quoteName, quoteTable } from "./names.ts";
import type { Tables } from "./statements.ts";

export interface TableThere {
  /** Empty without a table. */
  readonly columns: ReadonlySet<string>;
  /** `row_id` has its unique index, which comes last. */
  readonly isNumbered: boolean;
}

export function cockroachSteps({ state }: Tables, { columns, isNumbered }: TableThere): readonly string[] {
  const table = quoteTable(state);
  const index = (suffix: string): string => quoteName(`${state.name}_${suffix}`);
  const expiry = `CREATE INDEX IF NOT EXISTS ${index("expiredate_idx")} ON ${table} (expiredate)`;
  if (columns.size === 0) {
    const create = `CREATE TABLE IF NOT EXISTS ${table} (
      key text NOT NULL PRIMARY KEY,
      value jsonb NOT NULL,
      isbinary boolean NOT NULL,
      etag INT,
      insertdate timestamptz NOT NULL DEFAULT now(),
      updatedate timestamptz NULL,
      expiredate timestamptz NULL,
      row_id INT8 NOT NULL DEFAULT unique_rowid(),
      UNIQUE (row_id))`;
    return [create, expiry];
  }
  // Without an ETag it is a table of something else, which is left as it is.
  if (!columns.has("etag") || (columns.has("expiredate") && isNumbered)) return [];
  return [
    `ALTER TABLE ${table} ADD COLUMN IF NOT EXISTS expiredate timestamptz NULL`,
    expiry,
    `ALTER TABLE ${table} ADD COLUMN IF NOT EXISTS row_id INT8`,
    `ALTER TABLE ${table} ALTER COLUMN row_id SET DEFAULT unique_rowid()`,
    `UPDATE ${table} SET row_id = unique_rowid() WHERE row_id IS NULL`,
    `ALTER TABLE ${table} ALTER COLUMN row_id SET NOT NULL`,
    `CREATE UNIQUE INDEX IF NOT EXISTS ${index("row_id_uidx")} ON ${table} (row_id)`,
  ];
}
