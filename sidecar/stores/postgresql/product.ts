// PostgreSQL and the databases that speak its protocol: in what they differ for this driver. Knows no statement.

export interface Product {
  /** As errors and logs call it. */
  readonly name: string;
  /** Of transactions, whatever the server's default. */
  readonly isolation: "READ COMMITTED" | "SERIALIZABLE";
  /** Transactions take turns by advisory locks, so that few meet and none is undone for it. */
  readonly advisoryLocks: boolean;
  /** Statements that change tables belong into a transaction: they are undone with it. */
  readonly transactionalTables: boolean;
  /** "bytes": the primary key goes by the bytes of the key. "database": as the database orders texts. */
  readonly keyOrder: "bytes" | "database";
  /**
   * A statement that it answers with an error was not done. Databases of several nodes say so of some too that they have lost
   * sight of: CockroachDB calls a write cancelled whose outcome it does not know, and YugabyteDB one that took too long broken.
   */
  readonly errorsUndo: boolean;
  /** Nothing here has met a real server of it. */
  readonly unproved: boolean;
}

export const POSTGRESQL: Product = {
  name: "postgresql",
  isolation: "READ COMMITTED",
  advisoryLocks: true,
  transactionalTables: true,
  keyOrder: "database",
  errorsUndo: true,
  unproved: false,
};

/** Its advisory locks are there for clients that call them, and lock nothing. */
export const COCKROACHDB: Product = {
  name: "cockroachdb",
  isolation: "SERIALIZABLE",
  advisoryLocks: false,
  transactionalTables: false,
  keyOrder: "bytes",
  errorsUndo: false,
  unproved: true,
};

/** Older ones refuse advisory locks. Its primary key is spread by a hash, which no walk goes along. */
export const YUGABYTEDB: Product = {
  name: "yugabytedb",
  isolation: "SERIALIZABLE",
  advisoryLocks: false,
  transactionalTables: false,
  keyOrder: "bytes",
  errorsUndo: false,
  unproved: true,
};
