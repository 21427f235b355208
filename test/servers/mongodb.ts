// MongoDB servers for tests. No registry has the real one: mongo-java-server from the cache stands in for a server alone,
// and a replica set is used where PANNIER_TEST_MONGODB_URI names one.

import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MongoClient } from "mongodb";
import { ChildServer } from "./child-server.ts";
import { fetchedFolder, javaMissing, whyNotFetched } from "./fetched.ts";
import { freePort } from "./free-port.ts";
import { describeUnless, type LocalServer, localServer, startOnePlanned } from "./local-server.ts";
import { isRequired } from "./required.ts";

/** Whenever it ends, everything in it is gone. */
export interface MongodbServer extends LocalServer {
  /** "127.0.0.1:27017", as in `host`. */
  readonly address: string;
  /** A client of the test's own; whoever asks for it closes it. */
  connect(): Promise<MongoClient>;
}

const MAIN = fileURLToPath(new URL("fetched/MongoServerMain.java", import.meta.url));
const READY_WITHIN_MS = 60_000;
const ANSWERS_WITHIN_MS = 60_000;

/**
 * Why there can be no mongo-java-server here and what to do about it, or null when there is one. With
 * PANNIER_TEST_REQUIRE=mongodb a missing one is no reason: null, and `startMongodb` fails, so that CI cannot skip in silence.
 */
export function mongodbMissing(): string | null {
  return isRequired("mongodb") ? null : whyMissing();
}

function whyMissing(): string | null {
  return javaMissing() ?? whyNotFetched("mongodb");
}

/** A describe for tests that need a server: where there can be none they are pending, with the reason in the title. */
export function describeWithMongodb(title: string, body: () => void): void {
  describeUnless(mongodbMissing(), title, body);
}

/** A replica set by its address, or why there is none. */
export function addressedMongodb(): { readonly uri: string } | { readonly missing: string } {
  const uri = process.env.PANNIER_TEST_MONGODB_URI;
  if (uri !== undefined && uri !== "") return { uri };
  return {
    missing:
      "MongoDB is in no registry: name a replica set in PANNIER_TEST_MONGODB_URI, as mongodb://host/?replicaSet=rs0",
  };
}

/** Starts mongo-java-server and resolves when it answers. Whoever starts one stops it. */
export async function startMongodb(): Promise<MongodbServer> {
  const missing = whyMissing();
  if (missing !== null) throw new Error(missing);
  return startOnePlanned(async () => {
    const port = await freePort();
    const classes = join(fetchedFolder("mongodb"), "lib", "*");
    const child = new ChildServer({
      command: "java",
      args: ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", classes, MAIN, String(port)],
      cwd: tmpdir(),
      // It says nothing of its own when it is ready; this is the library for logs, which says that it has none.
      readyText: "SLF4J",
      readyWithinMs: READY_WITHIN_MS,
      stopSignal: "SIGKILL",
    });
    const address = `127.0.0.1:${port}`;
    const server: MongodbServer = {
      ...localServer({ child, port, answers: () => untilItAnswers(port) }),
      address,
      connect: () => MongoClient.connect(`mongodb://${address}/`),
    };
    return { child, server };
  });
}

async function untilItAnswers(port: number): Promise<void> {
  const client = new MongoClient(`mongodb://127.0.0.1:${port}/`, { serverSelectionTimeoutMS: ANSWERS_WITHIN_MS });
  try {
    await client.db("admin").command({ ping: 1 });
  } finally {
    await client.close();
  }
}
