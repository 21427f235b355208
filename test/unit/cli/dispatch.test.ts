import assert from "node:assert/strict";
import { dispatch } from "#cli/dispatch.ts";
import { VERBS } from "#cli/verbs.ts";
import { RUNTIME_VERSION, VERSION } from "#kit/version.ts";
import { testHost } from "./output.ts";

async function call(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const host = testHost();
  const code = await dispatch(argv, host);
  return { code, out: host.stdout.text, err: host.stderr.text };
}

describe("command line", () => {
  for (const argv of [[], ["--help"], ["-h"], ["help"], ["help", "help"], ["help", "--help"], ["-h", "help"]]) {
    it(`shows the verbs for ${JSON.stringify(argv)}`, async () => {
      const { code, out, err } = await call(...argv);
      assert.equal(code, 0);
      assert.equal(err, "");
      for (const name of Object.keys(VERBS)) assert.match(out, new RegExp(`^  ${name} `, "m"));
    });
  }

  for (const name of Object.keys(VERBS)) {
    it(`shows the page of ${name} with flags and examples, however it is asked for`, async () => {
      const pages = [
        await call("help", name),
        await call(name, "--help"),
        await call("--help", name),
        await call(name, "-h"),
      ];
      for (const { code, out } of pages) {
        assert.equal(code, 0);
        assert.equal(out, pages[0]?.out);
      }
      assert.match(
        pages[0]?.out ?? "",
        new RegExp(`Usage:\n  pannier ${name} [^]*--help [^]*Examples:\n  pannier ${name}`),
      );
    });
  }

  it("prints the version", async () => {
    assert.match((await call("--version")).out, new RegExp(`^pannier ${VERSION} `));
    const { out } = await call("--version");
    for (const verb of ["run", "check"]) assert.equal((await call(verb, "--version")).out, out);
  });

  it("prints one line with the runtime's version for a sidecar, and several of build information", async () => {
    assert.equal((await call("sidecar", "--version")).out, `${RUNTIME_VERSION}\n`);
    assert.equal((await call("sidecar", "-version")).out, `${RUNTIME_VERSION}\n`);
    const { code, out } = await call("sidecar", "--build-info");
    assert.equal(code, 0);
    assert.ok(out.trimEnd().split("\n").length >= 3, out);
  });

  it("takes the name of Dapr's program for the sidecar, as the arguments in a pod begin with it", async () => {
    for (const program of ["/daprd", "daprd", "./daprd"])
      assert.equal((await call(program, "--version")).out, `${RUNTIME_VERSION}\n`);
    assert.match((await call("/daprdd", "--version")).err, /unknown verb/);
  });

  const wrong: [string[], RegExp][] = [
    [["runn"], /unknown verb "runn"; did you mean run\?\nTry "pannier --help"/],
    [["constructor"], /unknown verb "constructor"/],
    [["help", "sidcar"], /did you mean sidecar\?/],
    [["help", "sidecar", "run"], /^pannier: help: got sidecar and run, want one verb\n/],
    [["help", "--app-idd"], /unknown flag --app-idd/],
    [["version"], /unknown verb "version"; did you mean --version\?/],
    [["--app-idd=x", "run"], /unknown flag --app-idd; did you mean --app-id\?/],
    [["--app-id=x"], /got no verb, want one of run, sidecar, check/],
    [
      ["run", "--app-prot=1"],
      /pannier run: unknown flag --app-prot; did you mean --app-port\?\nTry "pannier run --help"/,
    ],
    [["--app-port", "x", "run"], /--app-port: got "x"/],
    [["run", "--dapr-http-port=x"], /--dapr-http-port: got "x", want a whole number from 0 to 65535/],
    [["run", ""], /the command is ""/],
    [["sidecar", "--metricsport=1"], /did you mean --metrics-port\?\nTry "pannier sidecar --help"/],
    [["check"], /got no path/],
    [["check", "--output=xml", "x"], /--output: got "xml", want text or json/],
    [["--output", "xml", "check", "x"], /--output: got "xml"/],
  ];
  for (const [argv, wanted] of wrong) {
    it(`ends with 2 for ${argv.join(" ")}`, async () => {
      const { code, out, err } = await call(...argv);
      assert.equal(code, 2);
      assert.equal(out, "");
      assert.match(err, wanted);
    });
  }

  it("finds the verb behind its flags", async () => {
    const { code, err } = await call("--run-file", "run", "run", "ls");
    assert.equal(code, 1);
    assert.match(err, /^pannier run: --run-file is not taken/);
  });

  it("logs at level fatal why a sidecar cannot be started so, and ends with 1", async () => {
    const { code, out } = await call("sidecar", "--app-port=3000");
    assert.equal(code, 1);
    assert.match(out, /level=fatal msg="--app-id is missing/);
    const { out: json } = await call("--log-as-json", "sidecar");
    assert.equal(JSON.parse(json).level, "fatal");
  });
});
