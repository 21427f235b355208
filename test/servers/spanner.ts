// Spanner for tests: the service's database that PANNIER_TEST_SPANNER_DATABASE names ("projects/P/instances/I/databases/D",
// by the environment's credentials), or Google's in-memory fake behind our front (fetched/spanner), on a private port.
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ChildServer } from "./child-server.ts";
import { fetchedFolder, fetchedMissing, whyNotFetched } from "./fetched.ts";
import { freePort } from "./free-port.ts";
import { describeUnless, type LocalServer, localServer, type Planned, startOnePlanned } from "./local-server.ts";

/** It comes back with what was committed; its sessions are gone. */
export interface SpannerServer extends LocalServer {
  /** "127.0.0.1:9010", as in `endpoint`. */
  readonly address: string;
  /** The Component's metadata that name the database there. */
  readonly metadata: Readonly<Record<string, string>>;
}

const DATABASE = { project_id: "test", instance_id: "test", database_id: "test" };

/** The service's database as metadata, or null where the tests run on the fake. Throws for a name that is none. */
export function spannerService(): Readonly<Record<string, string>> | null {
  const name = process.env.PANNIER_TEST_SPANNER_DATABASE ?? "";
  if (name === "") return null;
  const [, project_id, instance_id, database_id] =
    /^projects\/([^/]+)\/instances\/([^/]+)\/databases\/([^/]+)$/.exec(name) ?? [];
  if (project_id === undefined || instance_id === undefined || database_id === undefined)
    throw new Error("PANNIER_TEST_SPANNER_DATABASE: want projects/P/instances/I/databases/D");
  return { project_id, instance_id, database_id };
}

/** Why there can be no fake here and what to do about it, or null; null too with `spanner` in PANNIER_TEST_REQUIRE. */
export function spannerMissing(): string | null {
  return fetchedMissing("spanner");
}

/** A describe for tests that need the fake: where there can be none they are pending, with the reason in the title. */
export function describeWithSpanner(title: string, body: () => void): void {
  describeUnless(spannerMissing(), title, body);
}

/** Starts the fake and resolves when it answers. Whoever starts one stops it. */
export async function startSpanner(): Promise<SpannerServer> {
  const missing = whyNotFetched("spanner");
  if (missing !== null) throw new Error(missing);
  return startOnePlanned(plan);
}

async function plan(): Promise<Planned<SpannerServer>> {
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), "pannier-spanner-"));
  const address = `127.0.0.1:${port}`;
  const child = new ChildServer({
    command: join(fetchedFolder("spanner"), "spanner-test-server"),
    args: ["-addr", address, "-journal", join(folder, "journal")],
    cwd: folder,
    readyText: "ready",
  });
  const metadata = { ...DATABASE, endpoint: address };
  return { child, server: { ...localServer({ child, port, folder }), address, metadata } };
}
