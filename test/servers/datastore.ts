// Firestore in Datastore mode for tests: the project that PANNIER_TEST_FIRESTORE_PROJECT names (its default database, by the
// environment's credentials), or datastore-emulator, of Rust, on a private port.
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ChildServer } from "./child-server.ts";
import { fetchedFolder, fetchedMissing, whyNotFetched } from "./fetched.ts";
import { freePort } from "./free-port.ts";
import { describeUnless, type LocalServer, localServer, type Planned, startOnePlanned } from "./local-server.ts";

/** After kill9 it comes back with what was there at the last `halt`. */
export interface DatastoreServer extends LocalServer {
  /** "127.0.0.1:8042", as in `endpoint`. */
  readonly address: string;
  /** The Component's metadata that name the database there. */
  readonly metadata: Readonly<Record<string, string>>;
  /**
   * Asks its JSON API, "lookup", "runQuery" and so on: a second client, which knows nothing of ours. Rejects with what it said
   * when that is not 200.
   */
  ask(method: string, body: object): Promise<Record<string, unknown>>;
  /** Ends it with what it has on disk. What it answers in its last moments may be lost: cut its clients off before. */
  halt(): Promise<void>;
}

const PROJECT = "test";
const ANSWERS_WITHIN_MS = 10_000;
const ASK_PAUSE_MS = 10;

/** The service's project as metadata, or null where the tests run on the emulator. */
export function firestoreService(): Readonly<Record<string, string>> | null {
  const project_id = process.env.PANNIER_TEST_FIRESTORE_PROJECT ?? "";
  return project_id === "" ? null : { project_id };
}

/** Why there can be no emulator here and what to do about it, or null; null too with `datastore` in PANNIER_TEST_REQUIRE. */
export function datastoreMissing(): string | null {
  return fetchedMissing("datastore");
}

/** A describe for tests that need the emulator: where there can be none they are pending, with the reason in the title. */
export function describeWithDatastore(title: string, body: () => void): void {
  describeUnless(datastoreMissing(), title, body);
}

/** Starts the emulator and resolves when it answers. Whoever starts one stops it. */
export async function startDatastore(): Promise<DatastoreServer> {
  const missing = whyNotFetched("datastore");
  if (missing !== null) throw new Error(missing);
  return startOnePlanned(plan);
}

async function plan(): Promise<Planned<DatastoreServer>> {
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), "pannier-datastore-"));
  const address = `127.0.0.1:${port}`;
  const child = new ChildServer({
    command: join(fetchedFolder("datastore"), "bin/datastore-emulator"),
    args: ["--host-port", address],
    cwd: folder,
    readyText: "listening on",
    // It writes its data into its folder then, and only then.
    stopSignal: "SIGINT",
  });
  const server: DatastoreServer = {
    ...localServer({ child, port, folder, answers: () => untilAnswers(address, child) }),
    address,
    metadata: { project_id: PROJECT, endpoint: address },
    ask: (method, body) => ask(address, method, body),
    halt: () => child.stop(),
  };
  return { child, server };
}

async function ask(address: string, method: string, body: object): Promise<Record<string, unknown>> {
  const url = `http://${address}/v1/projects/${PROJECT}:${method}`;
  const headers = { "content-type": "application/json" };
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`${method}: ${answer.status} ${text}`);
  return JSON.parse(text);
}

/** It says that it listens before it does. */
async function untilAnswers(address: string, child: ChildServer): Promise<void> {
  const end = Date.now() + ANSWERS_WITHIN_MS;
  for (;;) {
    const isUp = await fetch(`http://${address}/`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isUp) return;
    if (Date.now() > end) throw new Error(`datastore-emulator does not answer at ${address}:\n${child.output}`);
    await new Promise((resolve) => setTimeout(resolve, ASK_PAUSE_MS));
  }
}
