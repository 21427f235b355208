// What the servers of tests have in common: how they are hurt and ended, how a start is tried again where its ports were
// taken, and the describes that need them. Knows no particular server.
import { rm } from "node:fs/promises";
import type { ChildServer } from "./child-server.ts";

/** A server in a process of its own. */
export interface LocalServer {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** In the middle of everything. */
  kill9(): Promise<void>;
  /** SIGSTOP: the port still accepts, nothing answers. */
  pause(): void;
  resume(): void;
  /** Starts it again on the same ports and folder, after kill9 or while it runs; resolves when it answers. */
  restart(): Promise<void>;
  /** Ends it and removes its files. */
  stop(): Promise<void>;
}

export interface LocalServerParts {
  readonly child: ChildServer;
  readonly port: number;
  /** Where its files are; absent: it has none. */
  readonly folder?: string;
  /** Resolves when it answers; absent: as soon as it says that it is ready. */
  readonly answers?: () => Promise<void>;
}

export function localServer({ child, port, folder, answers }: LocalServerParts): LocalServer {
  return {
    host: "127.0.0.1",
    port,
    kill9: () => child.kill9(),
    pause: () => child.pause(),
    resume: () => child.resume(),
    restart: async () => {
      await child.stop();
      await child.start();
      await answers?.();
    },
    stop: async () => {
      await child.stop();
      if (folder !== undefined) await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A server that has not been started yet. */
export interface Planned<S> {
  readonly child: ChildServer;
  readonly server: S;
}

type Startable = Pick<LocalServer, "restart" | "stop">;

const STARTS_MAX = 3;
const PORT_TAKEN = /address already in use|EADDRINUSE/i;

/** Starts what `plan` has laid out, all at once, and gives it when all of it answers. Whoever starts servers stops each. */
export async function startPlanned<S extends Startable>(
  plan: () => Promise<readonly Planned<S>[]>,
): Promise<readonly S[]> {
  for (let start = 1; ; start++) {
    const planned = await plan();
    const servers = planned.map(({ server }) => server);
    try {
      await Promise.all(servers.map((server) => server.restart()));
      return servers;
    } catch (error) {
      await Promise.all(servers.map((server) => server.stop()));
      // Between the search for a free port and the start another process can have taken it.
      if (start === STARTS_MAX || !planned.some(({ child }) => PORT_TAKEN.test(child.output))) throw error;
    }
  }
}

/** The same for one server. */
export async function startOnePlanned<S extends Startable>(plan: () => Promise<Planned<S>>): Promise<S> {
  const [server] = await startPlanned(async () => [await plan()]);
  if (server === undefined) throw new Error("one server was planned, and none started");
  return server;
}

/** A describe for tests that need a server: where there can be none they are pending, with the reason in the title. */
export function describeUnless(missing: string | null, title: string, body: (this: Mocha.Suite) => void): void {
  if (missing === null) describe(title, body);
  else describe.skip(`${title} (not run: ${missing})`, body);
}
