// Loads a driver's chunk of the bundle in a process of its own, and prints what that cost and which files came, as JSON.
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";

const [, , url = ""] = process.argv;
const files: string[] = [];
registerHooks({
  load(each, context, next) {
    if (each.startsWith("file:")) files.push(each);
    return next(each, context);
  },
});

/** What the process has for itself, in bytes: pages that it shares with nobody and that no file is behind. */
function privateBytes(): number {
  const [, kilobytes] = /^Anonymous:\s+(\d+) kB/m.exec(readFileSync("/proc/self/smaps_rollup", "utf8")) ?? [];
  return Number(kilobytes) * 1024;
}

const bytesBefore = privateBytes();
const cpuBefore = process.cpuUsage();
const began = performance.now();
const { driver } = await import(url);
const ms = performance.now() - began;
const { user, system } = process.cpuUsage(cpuBefore);
const bytes = privateBytes() - bytesBefore;
process.stdout.write(JSON.stringify({ loaded: driver.type, ms, cpuMs: (user + system) / 1000, bytes, files }));
