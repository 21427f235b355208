import assert from "node:assert/strict";
import { createLog, type Log } from "#kit/log.ts";

function logInto(lines: string[], json: boolean): Log {
  const write = (line: string): void => void lines.push(line);
  return createLog({ level: "info", json, appId: "app", instance: "host", version: "1", write, nowMs: () => 0 });
}

describe("the log", () => {
  it("writes JSON lines with Dapr's fields", () => {
    const lines: string[] = [];
    logInto(lines, true).scoped("dapr.runtime.http").warn("slow", { ms: 3 });
    assert.deepEqual(JSON.parse(lines[0] ?? ""), {
      time: "1970-01-01T00:00:00.000Z",
      level: "warning",
      msg: "slow",
      ms: 3,
      app_id: "app",
      instance: "host",
      scope: "dapr.runtime.http",
      type: "log",
      ver: "1",
    });
    assert.ok(lines[0]?.endsWith("}\n"));
  });

  it("writes text lines, quoting what is more than a word, on one line whatever the message holds", () => {
    const lines: string[] = [];
    logInto(lines, false).info('two\nlines "quoted"', { word: "a/b.c", empty: "" });
    assert.equal(
      lines[0],
      'time="1970-01-01T00:00:00.000Z" level=info msg="two\\nlines \\"quoted\\"" word=a/b.c empty="" app_id=app instance=host scope=dapr.runtime type=log ver=1\n',
    );
  });

  it("leaves out what is below its level", () => {
    const lines: string[] = [];
    logInto(lines, true).debug("hidden");
    assert.deepEqual(lines, []);
  });
});
