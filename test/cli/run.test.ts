import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, utimes, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Server } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "#test/servers/free-port.ts";
import { Bench, eventually, isAlive, type Pannier } from "./pannier.ts";

const shell = promisify(execFile);
const NODE = process.execPath;

const MANIFEST = `apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: memory}
spec: {type: state.in-memory, version: v1}
`;

describe("pannier run", () => {
  const bench = new Bench();
  let cwd: string;
  let ports: string[];

  beforeEach(async () => {
    cwd = await bench.folder();
    ports = ["-H", String(await freePort()), "-G", String(await freePort()), "-M", String(await freePort())];
  });
  afterEach(() => bench.clear());

  function run(argv: readonly string[] = [], env?: NodeJS.ProcessEnv): Pannier {
    return bench.start(["run", ...ports, ...argv], env === undefined ? { cwd } : { cwd, env });
  }

  /** Runs a script of Node beside the sidecar. */
  function app(script: string, flags: readonly string[] = []): Pannier {
    return run([...flags, "--", NODE, "-e", script]);
  }

  async function manifest(): Promise<string> {
    await mkdir(join(cwd, "components"));
    await writeFile(join(cwd, "components", "memory.yaml"), MANIFEST);
    return "components";
  }

  describe("alone", () => {
    it("saves and reads by the banner's curl lines, and again after a restart", async () => {
      const first = run();
      const [, save = "", read = ""] = await first.says(/^ {2}(curl -X POST .*)\n {2}(curl .*)\n/m);
      await shell("sh", ["-c", `${save} --fail --silent`]);
      assert.equal((await shell("sh", ["-c", `${read} --fail --silent`])).stdout, '"hello"');
      assert.match(first.out, /statestore\.yaml, just written/);
      first.signal("SIGINT");
      assert.equal(await first.ended, 0);

      const second = run();
      const [, , again = ""] = await second.says(/^ {2}(curl -X POST .*)\n {2}(curl .*)\n/m);
      assert.equal((await shell("sh", ["-c", `${again} --fail --silent`])).stdout, '"hello"');
      assert.doesNotMatch(second.out, /just written/);
      assert.equal(/app id +(\S+)/.exec(second.out)?.[1], /app id +(\S+)/.exec(first.out)?.[1]);
      assert.ok(existsSync(join(cwd, ".pannier/state.db")));
    });

    it("serves on after the signal for the time of the block", async () => {
      const pannier = run(["--dapr-block-shutdown-duration=1h"]);
      const [, url = ""] = await pannier.says(/state API +(\S+)/);
      pannier.signal("SIGTERM");
      for (let answers = 0; answers < 50; answers++) assert.equal((await fetch(`${url}/v1.0/healthz`)).status, 204);
      pannier.signal("SIGINT");
      assert.equal(await pannier.ended, 1);
    });

    it("writes nothing when id and manifests are given, with flags before the verb and short names", async () => {
      const folder = await manifest();
      const pannier = bench.start(["--app-id", "x", ...ports, "run", "-d", folder], { cwd });
      await pannier.says(/store +memory \(state\.in-memory\)/);
      assert.match(pannier.out, /app id +x\n/);
      assert.ok(!existsSync(join(cwd, ".pannier")));
    });

    it("shows the banner and no log line of a good start, but all of them when asked", async () => {
      const quiet = run();
      await quiet.says(/curl/);
      assert.doesNotMatch(quiet.out, /level=info/);
      quiet.signal("SIGTERM");
      await quiet.ended;
      const loud = run(["--log-level=info"]);
      await loud.says(/== PANNIER == .*dapr initialized/);
    });

    it("shows the log of a failed start and ends with 1", async () => {
      const folder = await manifest();
      await writeFile(join(cwd, folder, "memory.yaml"), MANIFEST.replace("in-memory", "no-such-store"));
      const pannier = run(["-d", folder]);
      assert.equal(await pannier.ended, 1);
      assert.match(pannier.err, /^pannier run: .*no-such-store/);
    });

    it("listens on loopback alone", async () => {
      const pannier = run();
      await pannier.says(/curl/);
      // Without IPv6 the second one is not there.
      const tables = ["/proc/net/tcp", "/proc/net/tcp6"].filter((path) => existsSync(path));
      const sockets = (await Promise.all(tables.map((path) => readFile(path, "utf8")))).join("");
      const hex = Number(ports[1]).toString(16).toUpperCase().padStart(4, "0");
      const listening = [...sockets.matchAll(new RegExp(`: ([0-9A-F]+):${hex} [0-9A-F:]+ 0A `, "g"))].map(
        ([, each]) => each,
      );
      const loopback = ["0100007F", "00000000000000000000000001000000"];
      assert.ok(listening.length > 0);
      assert.deepEqual(
        listening.filter((address) => !loopback.includes(address ?? "")),
        [],
      );
    });

    it("ends with 0 when a client shuts the sidecar down", async () => {
      const pannier = run();
      const [, url = ""] = await pannier.says(/state API +(\S+)/);
      assert.equal((await fetch(`${url}/v1.0/shutdown`, { method: "POST" })).status, 204);
      assert.equal(await pannier.ended, 0);
    });

    it("reloads on SIGHUP where there is no terminal", async () => {
      const folder = await manifest();
      const path = join(cwd, folder, "second.yaml");
      const write = async (name: string): Promise<void> => {
        await writeFile(path, MANIFEST.replace("memory}", `${name}}`));
        // With its size and times as they were, only a reload finds the change.
        await utimes(path, 0, 0);
      };
      await write("one");
      const pannier = run(["-d", folder, "--hot-reload-reconcile-interval=1h"]);
      const [, url = ""] = await pannier.says(/state API +(\S+)/);
      await write("two");
      pannier.signal("SIGHUP");
      await eventually("the new store", async () => (await fetch(`${url}/v1.0/state/two/k`)).status === 204);
      pannier.signal("SIGTERM");
      assert.equal(await pannier.ended, 0);
    });

    it("names flags of dapr run that have no effect", async () => {
      const pannier = run(["-I", "5000", "--placement-host-address", "localhost"]);
      await pannier.says(/Without effect here: --dapr-internal-grpc-port, --placement-host-address\n/);
    });

    it("says which file of the Configuration is not there, and ends with 1", async () => {
      const pannier = run(["-c", "config.yaml"]);
      assert.equal(await pannier.ended, 1);
      assert.match(pannier.err, /^pannier run: configuration file "config\.yaml" cannot be read \(ENOENT\)$/m);
    });
  });

  describe("ports", () => {
    let busy: Server;
    let taken: number;
    beforeEach(async () => {
      busy = createServer();
      await new Promise<void>((resolve) => busy.listen(0, "127.0.0.1", resolve));
      taken = (busy.address() as AddressInfo).port;
    });
    afterEach(async () => {
      await new Promise((resolve) => busy.close(resolve));
    });

    for (const flag of ["dapr-http-port", "dapr-grpc-port", "metrics-port"]) {
      it(`refuses a taken --${flag} by name`, async () => {
        const pannier = run([`--${flag}=${taken}`]);
        assert.equal(await pannier.ended, 1);
        assert.match(pannier.err, new RegExp(`^pannier run: --${flag}: cannot have port ${taken} `));
        assert.equal(pannier.out, "");
      });
    }

    const clashes: [string, string, string][] = [
      ["-H", "-G", "--dapr-grpc-port: got PORT, want another port than --dapr-http-port"],
      ["-M", "-H", "--metrics-port: got PORT, want another port than --dapr-http-port"],
      ["--app-port", "-M", "--metrics-port: got PORT, want another port than --app-port"],
      ["-H", "--dapr-public-port", "--dapr-http-port: got PORT, want another port than --dapr-public-port"],
    ];
    for (const [one, other, wanted] of clashes) {
      it(`says that ${one} and ${other} clash`, async () => {
        const port = String(await freePort());
        const pannier = run([one, port, other, port]);
        assert.equal(await pannier.ended, 1);
        assert.equal(pannier.err, `pannier run: ${wanted.replace("PORT", port)}\n`);
      });
    }

    it("gives two runs without ports different ones", async () => {
      const folder = await manifest();
      const argv = ["run", "-a", "x", "-d", folder];
      const one = bench.start(argv, { cwd });
      const [, first] = await one.says(/state API +(\S+)/);
      const other = bench.start(argv, { cwd });
      const [, second] = await other.says(/state API +(\S+)/);
      assert.notEqual(first, second);
      for (const url of [first, second]) assert.equal((await fetch(`${url}/v1.0/healthz`)).status, 204);
    });
  });

  describe("with an app", () => {
    it("gives the app its environment and a sidecar that serves, and its exit code back", async () => {
      const script = `
        const { APP_ID, APP_PORT, DAPR_HTTP_PORT, DAPR_HTTP_ENDPOINT, DAPR_GRPC_PORT, DAPR_METRICS_PORT } = process.env;
        fetch(DAPR_HTTP_ENDPOINT + "/v1.0/healthz").then((answer) => {
          console.log(APP_ID, APP_PORT, DAPR_HTTP_PORT, DAPR_GRPC_PORT, DAPR_METRICS_PORT, answer.status);
          process.exitCode = 7;
        });`;
      const pannier = app(script, ["--app-id=orders", "-p", "65000"]);
      assert.equal(await pannier.ended, 7);
      assert.match(pannier.out, new RegExp(`^== APP == orders 65000 ${ports[1]} ${ports[3]} ${ports[5]} 204$`, "m"));
    });

    it("leaves the command as it stands from its first word on", async () => {
      const script = "console.log(JSON.stringify(process.argv.slice(2)))";
      await writeFile(join(cwd, "app.mjs"), script);
      const pannier = run([NODE, "app.mjs", "--app-id", "x", "--", "-p"]);
      assert.equal(await pannier.ended, 0);
      assert.match(pannier.out, /^== APP == \["--app-id","x","--","-p"\]$/m);
    });

    it("prefixes both outputs, each on its own stream, whole lines and a last one without end", async () => {
      const pannier = app('process.stdout.write("one\\ntwo"); process.stderr.write("three\\n")');
      assert.equal(await pannier.ended, 0);
      assert.match(pannier.out, /^== APP == one\n== APP == two\n/m);
      assert.equal(pannier.err, "== APP == three\n");
    });

    it("gives 128 and the number of the signal that ended the app", async () => {
      assert.equal(await app('process.kill(process.pid, "SIGKILL")').ended, 137);
    });

    it("ends with 127 for a command that is not there and 126 for one that cannot be run", async () => {
      const missing = run(["no-such-command-here"]);
      assert.equal(await missing.ended, 127);
      assert.match(missing.err, /cannot start "no-such-command-here": no such command/);
      await writeFile(join(cwd, "plain.txt"), "");
      const plain = run(["./plain.txt"]);
      assert.equal(await plain.ended, 126);
      assert.match(plain.err, /is not executable/);
    });

    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      it(`passes ${signal} on and gives the app's own exit code`, async () => {
        const pannier = app(`
          process.on("${signal}", () => { console.log("got ${signal}"); process.exit(3); });
          setInterval(() => undefined, 1000); console.log("ready");`);
        await pannier.says(/== APP == ready/);
        pannier.signal(signal);
        assert.equal(await pannier.ended, 3);
        assert.match(pannier.out, new RegExp(`== APP == got ${signal}`));
      });
    }

    it("lets the app save while it ends", async () => {
      const pannier = app(
        `process.on("SIGTERM", async () => {
          const url = process.env.DAPR_HTTP_ENDPOINT + "/v1.0/state/statestore";
          const answer = await fetch(url, { method: "POST", body: '[{"key":"last","value":1}]' });
          console.log("saved", answer.status); process.exit(0);
        });
        setInterval(() => undefined, 1000); console.log("ready");`,
      );
      await pannier.says(/== APP == ready/);
      pannier.signal("SIGTERM");
      assert.equal(await pannier.ended, 0);
      assert.match(pannier.out, /saved 204/);
    });

    /** An app that starts a child, as npm does, tells its process id, and runs on. */
    const parent = (child: string, rest = "setInterval(() => undefined, 1000)"): string => `
      const child = require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(child)}], { stdio: "inherit" });
      ${rest}`;
    const stubborn = `process.on("SIGINT", () => undefined); setInterval(() => undefined, 1000); console.log("child", process.pid);`;

    it("ends the children of the app with it", async () => {
      const pannier = app(parent(stubborn));
      const [, pid] = await pannier.says(/== APP == child (\d+)/);
      pannier.signal("SIGINT");
      assert.equal(await pannier.ended, 130);
      assert.ok(!isAlive(Number(pid)));
    });

    it("ends the children that an app left behind when it ended by itself", async () => {
      // It ends once the child has spoken, which takes as long as it takes.
      const told = join(cwd, "told");
      const child = `${stubborn} require("node:fs").writeFileSync(${JSON.stringify(told)}, "");`;
      const look = `if (require("node:fs").existsSync(${JSON.stringify(told)})) process.exit(5)`;
      const pannier = app(parent(child, `setInterval(() => { ${look} }, 20)`));
      const [, pid] = await pannier.says(/== APP == child (\d+)/);
      assert.equal(await pannier.ended, 5);
      assert.ok(!isAlive(Number(pid)));
    });

    it("kills an app that takes no signal, after a grace", async () => {
      const pannier = app(`
        process.on("SIGTERM", () => undefined); setInterval(() => undefined, 1000); console.log("app", process.pid);`);
      const [, pid] = await pannier.says(/== APP == app (\d+)/);
      pannier.signal("SIGTERM");
      assert.equal(await pannier.ended, 137);
      assert.ok(!isAlive(Number(pid)));
    });

    it("kills everything at once on a second signal, and ends with 1", async () => {
      const pannier = app(`
        process.on("SIGTERM", () => console.log("no")); setInterval(() => undefined, 1000); console.log("app", process.pid);`);
      const [, pid] = await pannier.says(/== APP == app (\d+)/);
      pannier.signal("SIGTERM");
      await pannier.says(/== APP == no/);
      pannier.signal("SIGINT");
      assert.equal(await pannier.ended, 1);
      await eventually("the app is gone", () => !isAlive(Number(pid)));
    });

    it("ends the app when the sidecar is shut down, and ends with 0", async () => {
      const pannier = app('setInterval(() => undefined, 1000); console.log("app", process.pid);');
      const [, pid] = await pannier.says(/== APP == app (\d+)/);
      const [, url = ""] = await pannier.says(/state API +(\S+)/);
      await fetch(`${url}/v1.0/shutdown`, { method: "POST" });
      assert.equal(await pannier.ended, 0);
      assert.ok(!isAlive(Number(pid)));
    });

    it("ends the app when nobody reads the output any more", async () => {
      const pannier = app('setInterval(() => console.log("tick", process.pid), 50);');
      const [, pid] = await pannier.says(/== APP == tick (\d+)/);
      pannier.process.stdout?.destroy();
      await pannier.ended;
      await eventually("the app is gone", () => !isAlive(Number(pid)));
    });

    it("ends with the app, however long the shutdown may be blocked", async () => {
      const pannier = app("process.exit(4)", ["--dapr-block-shutdown-duration=1h"]);
      assert.equal(await pannier.ended, 4);
      const missing = run(["--dapr-block-shutdown-duration=1h", "no-such-command-here"]);
      assert.equal(await missing.ended, 127);
    });

    it("serves at once though the app's port does not answer", async () => {
      const pannier = run(["--app-port", String(await freePort())]);
      const [, url = ""] = await pannier.says(/state API +(\S+)/);
      assert.equal((await fetch(`${url}/v1.0/healthz`)).status, 204);
    });
  });

  it("keeps a manifest that was edited", async () => {
    const first = run();
    await first.says(/just written/);
    first.signal("SIGTERM");
    await first.ended;
    const path = join(cwd, ".pannier/components/statestore.yaml");
    await writeFile(path, MANIFEST);
    const second = run();
    await second.says(/store +memory \(state\.in-memory\)/);
    assert.equal(await readFile(path, "utf8"), MANIFEST);
  });
});
