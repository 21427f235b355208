#!/usr/bin/env node
// The operator's process: hands command line, environment, signals and streams to the operator and ends with its code.
import { hostname } from "node:os";
import { systemClock } from "#kit/clock.ts";
import { createLog } from "#kit/log.ts";
import { systemRandom } from "#kit/random.ts";
import { VERSION } from "#kit/version.ts";
import { OPERATOR_FLAGS, type OperatorFlags, readOperatorFlags } from "./flags.ts";
import { startOperator } from "./operator.ts";

const EXIT_OK = 0;
const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;
const NEVER_MS = 2 ** 30;

async function main(): Promise<number> {
  const asked = Promise.withResolvers<void>();
  const stopping = new AbortController();
  const stop = (): void => {
    if (stopping.signal.aborted) process.exit(EXIT_FAILURE);
    stopping.abort();
    asked.resolve();
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  const request = readOperatorFlags(process.argv.slice(2), process.env, hostname());
  switch (request.asks) {
    case "usage":
      process.stderr.write(`pannier operator: ${request.error}\ntry --help\n`);
      return EXIT_USAGE;
    case "version":
      process.stdout.write(`${VERSION}\n`);
      return EXIT_OK;
    case "help":
      process.stdout.write(help());
      return EXIT_OK;
    case "serve":
  }
  // While an API server is waited for, there may be nothing else that keeps the process: Node would end it, with 13.
  const alive = setInterval(() => undefined, NEVER_MS);
  try {
    return await serve(request.flags, asked.promise, stopping.signal);
  } finally {
    clearInterval(alive);
  }
}

async function serve(flags: Readonly<OperatorFlags>, asked: Promise<void>, stopping: AbortSignal): Promise<number> {
  const log = createLog({
    level: flags["log-level"],
    json: flags["log-as-json"],
    appId: "pannier-operator",
    instance: flags["pod-name"],
    version: VERSION,
    write: (line) => void process.stdout.write(line),
    nowMs: () => systemClock.nowMs(),
  });
  try {
    const parts = { clock: systemClock, random: systemRandom, log, stopping };
    const operator = await startOperator(flags, parts);
    await asked;
    await operator.close();
    return EXIT_OK;
  } catch (error) {
    if (stopping.aborted) return EXIT_OK;
    log.fatal(error instanceof Error ? error.message : String(error));
    return EXIT_FAILURE;
  }
}

function help(): string {
  const rows = Object.entries(OPERATOR_FLAGS).map(([name, { placeholder, doc, shownDefault }]) => {
    const shown = shownDefault === "" ? "" : ` (${shownDefault})`;
    return `  --${`${name} ${placeholder}`.padEnd(48)} ${doc}${shown}`;
  });
  return ["The operator of Pannier: one per cluster, in two replicas or more.", "", ...rows, ""].join("\n");
}

const code = await main();
process.stdout.write("", () => process.exit(code));
