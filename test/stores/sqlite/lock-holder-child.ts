// A process that holds the write lock of a SQLite file until it is told to go.
import { DatabaseSync } from "node:sqlite";

/** Whoever writes just now, such as a cleanup, is soon done. */
const WAIT_MS = 60_000;

const database = new DatabaseSync(process.argv[2] ?? "", { timeout: WAIT_MS });
database.exec("BEGIN IMMEDIATE");
process.send?.("locked");
process.on("message", () => {
  database.exec("COMMIT");
  database.close();
  process.disconnect?.();
});
