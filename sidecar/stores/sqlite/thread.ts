// Starts a database thread. The only place that knows where the thread's code lies.
import { Worker } from "node:worker_threads";
import type { ThreadSettings } from "./messages.ts";

export type StartThread = (settings: ThreadSettings) => Worker;

/**
 * Run from source, the thread's code is the neighbour worker.ts; in a bundle it is an entry of its own, sqlite-worker.js,
 * in the same folder as the chunk that holds this module.
 */
const ENTRY = new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./sqlite-worker.js", import.meta.url);

export const startThread: StartThread = (settings) =>
  new Worker(ENTRY, {
    name: "sqlite",
    workerData: settings,
    // A thread needs neither the environment, where secrets are, nor this process's flags.
    env: {},
    execArgv: [],
  });
