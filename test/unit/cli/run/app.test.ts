import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { eventually, isAlive } from "#test/cli/pannier.ts";

describe("the app of pannier run", () => {
  for (const [how, end] of [
    ["ends itself", "process.exit(0)"],
    ["ends by an error that nobody caught", 'throw new Error("a fault of ours")'],
  ] as const) {
    it(`is killed when the process that started it ${how}`, async () => {
      const runner = spawn(process.execPath, ["--input-type=module", "-e", starting(end)], {
        cwd: new URL("../../../..", import.meta.url),
        stdio: ["ignore", "pipe", "ignore"],
      });
      let said = "";
      runner.stdout.on("data", (chunk: Buffer) => {
        said += chunk.toString();
      });
      await once(runner, "exit");
      const pid = Number(/APP (\d+)/.exec(said)?.[1]);
      assert.ok(pid > 0, said);
      await eventually("the app is gone", () => !isAlive(pid));
    });
  }
});

/** The code of a process that starts an app, waits for the app's first line, which has its process id, and then ends. */
function starting(end: string): string {
  return `
    import { PassThrough } from "node:stream";
    import { App } from "#cli/run/app.ts";
    const stdout = new PassThrough();
    const script = "setInterval(() => undefined, 1000); console.log(process.pid)";
    new App(
      { command: [process.execPath, "-e", script], env: process.env, cwd: process.cwd(), prefixes: ["APP ", "APP "] },
      { env: process.env, cwd: process.cwd(), stdout, stderr: process.stderr },
    );
    stdout.once("data", (line) => process.stdout.write(line, () => { ${end}; }));
  `;
}
