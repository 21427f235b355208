// Loads the driver of one type in a process of its own, and prints what that cost and which packages came with it, as JSON.
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { loadDriver } from "#sidecar/stores/registry.ts";

const [, , type = ""] = process.argv;
const packages = new Set<string>();
registerHooks({
  load(url, context, next) {
    const [, name] = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url) ?? [];
    if (name !== undefined) packages.add(name);
    return next(url, context);
  },
});

/** What the process has for itself, in bytes: pages that it shares with nobody and that no file is behind. */
function privateBytes(): number {
  const [, kilobytes] = /^Anonymous:\s+(\d+) kB/m.exec(readFileSync("/proc/self/smaps_rollup", "utf8")) ?? [];
  return Number(kilobytes) * 1024;
}

const bytesBefore = privateBytes();
const began = performance.now();
const driver = await loadDriver(type);
const ms = performance.now() - began;
const bytes = privateBytes() - bytesBefore;
process.stdout.write(JSON.stringify({ loaded: driver?.type ?? null, ms, bytes, packages: [...packages].sort() }));
