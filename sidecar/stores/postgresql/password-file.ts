// A password file as libpq has it: lines of host:port:database:user:password, of which the first that fits counts
// (https://www.postgresql.org/docs/current/libpq-pgpass.html). Knows no connection.
import { readFile } from "node:fs/promises";
import { SqlError } from "../sql/failure.ts";
import type { Endpoint, ServerPlan } from "./server-plan.ts";

export interface SignInPlace {
  /** A path for a Unix socket, which a line calls localhost. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/** Read anew each time: whoever changes the file need not start the sidecar again. "" where no line fits, as with libpq. */
export async function passwordFromFile(plan: ServerPlan, { host, port }: Endpoint): Promise<string> {
  const { passwordFile: path, database, user } = plan;
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const why = error instanceof Error && "code" in error ? String(error.code) : "it cannot be read";
    throw new SqlError("unavailable", `passfile: ${path}: ${why}; give the path of a file that can be read`);
  }
  return passwordIn(text, { host, port, database, user }) ?? "";
}

/** Null where no line fits. */
export function passwordIn(text: string, { host, port, database, user }: SignInPlace): string | null {
  const wanted = [host.startsWith("/") ? "localhost" : host, String(port), database, user];
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith("#")) continue;
    const [, ...fields] = LINE.exec(line) ?? [];
    const password = fields.pop();
    // A star that is written with a backslash is one.
    const fits = wanted.every((each, index) => fields[index] === "*" || plain(fields[index] ?? "") === each);
    if (password !== undefined && fits) return plain(password);
  }
  return null;
}

/** Four fields that end with a colon, and the password, which is the rest of the line with its own colons. */
const LINE = /^((?:[^:\\]|\\.)*):((?:[^:\\]|\\.)*):((?:[^:\\]|\\.)*):((?:[^:\\]|\\.)*):(.*)$/s;

/** A backslash keeps what follows; the one at the end is itself. */
function plain(field: string): string {
  return field.replaceAll(/\\(.)/gs, "$1");
}
