// A process that holds the write lock of a SQLite file until it is told to go.
import { DatabaseSync } from "node:sqlite";

const database = new DatabaseSync(process.argv[2] ?? "");
database.exec("BEGIN IMMEDIATE");
process.send?.("locked");
process.on("message", () => {
  database.exec("COMMIT");
  database.close();
  process.disconnect?.();
});
