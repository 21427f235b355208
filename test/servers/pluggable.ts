// Pluggable components for tests, each a process on a socket in a folder of its own: one of ours, and Dapr's own drivers
// (test/servers/fetched/dapr-drivers).
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ChildServer } from "./child-server.ts";
import { fetchedFolder, fetchedMissing } from "./fetched.ts";

const CHILD = fileURLToPath(new URL("pluggable/component-child.ts", import.meta.url));

export interface PluggableComponent {
  /** The folder of sockets, as in DAPR_COMPONENTS_SOCKETS_FOLDER. */
  readonly folder: string;
  kill9(): Promise<void>;
  pause(): void;
  resume(): void;
  /** Starts it again on the same socket, and our own on the same data. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts our own component, which serves the type `state.NAME`. `without`: feature words and methods that it leaves out. */
export function startComponent(name: string, without: readonly string[] = []): Promise<PluggableComponent> {
  return start(name, ({ socket, folder }) => ({
    command: process.execPath,
    args: [CHILD, socket, join(folder, "..", "state.db"), ...without],
  }));
}

/** Why Dapr's own drivers cannot be run here, or null when they can. */
export function daprDriversMissing(): string | null {
  return fetchedMissing("dapr-drivers");
}

/** Starts Dapr's own drivers, which serve the type `state.dapr`; the property `driver` names one. */
export function startDaprDrivers(): Promise<PluggableComponent> {
  const command = join(fetchedFolder("dapr-drivers"), "dapr-drivers");
  return start("dapr", ({ socket }) => ({ command, args: ["-socket", socket] }));
}

interface Place {
  readonly socket: string;
  readonly folder: string;
}

async function start(
  name: string,
  program: (place: Place) => { readonly command: string; readonly args: readonly string[] },
): Promise<PluggableComponent> {
  const home = await mkdtemp(join(tmpdir(), "pannier-pluggable-"));
  // A folder of nothing but sockets.
  const folder = await mkdtemp(join(home, "s-"));
  const child = new ChildServer({
    ...program({ socket: join(folder, `${name}.sock`), folder }),
    cwd: home,
    readyText: "ready",
  });
  const stop = async (): Promise<void> => {
    await child.stop();
    await rm(home, { recursive: true, force: true });
  };
  try {
    await child.start();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    folder,
    kill9: () => child.kill9(),
    pause: () => child.pause(),
    resume: () => child.resume(),
    restart: async () => {
      await child.stop();
      await child.start();
    },
    stop,
  };
}
