import assert from "node:assert/strict";
import {
  booleanFlag,
  bytesFlag,
  commaFlag,
  durationFlag,
  type FlagTable,
  type Grammar,
  listFlag,
  type Parsed,
  parseArguments,
  parseQuantity,
  textFlag,
  wholeFlag,
  wordFlag,
} from "#kit/arguments.ts";

interface Sample {
  "app-id": string;
  "app-port": number;
  config: readonly string[];
  origins: readonly string[];
  verbose: boolean;
  level: "low" | "high";
  size: number | null;
  wait: number;
}

const SAMPLE: FlagTable<Sample> = {
  "app-id": textFlag({ fallback: "", short: "a", aliases: ["id"], doc: "" }),
  "app-port": wholeFlag({ fallback: 80, min: -1, max: 65_535, short: "p", doc: "" }),
  config: listFlag({ short: "c", doc: "" }),
  origins: commaFlag({ doc: "" }),
  verbose: booleanFlag({ fallback: false, short: "v", doc: "" }),
  level: wordFlag({ fallback: "low", words: ["low", "high"], spellings: { max: "high" }, doc: "" }),
  size: bytesFlag({ fallback: null, doc: "" }),
  wait: durationFlag({ fallback: 0, max: 60_000, doc: "" }),
};

const GRAMMAR: Grammar<Sample> = {
  flags: SAMPLE,
  ignored: { mtls: { takesValue: false, short: null }, sentry: { takesValue: true, short: "s" } },
  stopAtWord: false,
};

function parse(argv: readonly string[], stopAtWord = false): Parsed<Sample> {
  const parsed = parseArguments({ ...GRAMMAR, stopAtWord }, argv);
  assert.ok(!("error" in parsed), "error" in parsed ? parsed.error : "");
  return parsed;
}

function fault(argv: readonly string[]): string {
  const parsed = parseArguments(GRAMMAR, argv);
  assert.ok("error" in parsed, `took ${argv.join(" ")}`);
  return parsed.error;
}

describe("parseArguments", () => {
  const spellings: [string, string[], Partial<Sample>][] = [
    ["two dashes and =", ["--app-id=x"], { "app-id": "x" }],
    ["two dashes and the next word", ["--app-id", "x"], { "app-id": "x" }],
    ["one dash and =", ["-app-id=x"], { "app-id": "x" }],
    ["one dash and the next word", ["-app-id", "x"], { "app-id": "x" }],
    ["a short name and the next word", ["-p", "81"], { "app-port": 81 }],
    ["a short name with the value behind it", ["-p81"], { "app-port": 81 }],
    ["a short name and =", ["-p=81"], { "app-port": 81 }],
    ["another long name", ["--id=x"], { "app-id": "x" }],
    ["a value that begins with a dash", ["--app-port", "-1"], { "app-port": -1 }],
    ["an empty value", ["--app-id", ""], { "app-id": "" }],
    ["a value with = inside", ["--app-id=a=b"], { "app-id": "a=b" }],
    ["a boolean alone", ["--verbose"], { verbose: true }],
    ["a boolean with a value", ["--verbose=false"], { verbose: false }],
    ["a short boolean", ["-v"], { verbose: true }],
    ["a short boolean with a value", ["-v=F"], { verbose: false }],
    ["the last of a repeated flag", ["--app-id=x", "-a", "y"], { "app-id": "y" }],
    ["all of a repeated list", ["--config=x", "-c", "y,z", "-config", ""], { config: ["x", "y", "z"] }],
    ["a comma in quotes", ["--config", '"x,1","say ""y""",z'], { config: ["x,1", 'say "y"', "z"] }],
    ["the last of a repeated comma list", ["--origins=x", "--origins=y, z"], { origins: ["y", "z"] }],
    ["a word in any case", ["--level=HIGH"], { level: "high" }],
    ["another spelling of a word", ["--level=max"], { level: "high" }],
    ["a size", ["--size=4Mi"], { size: 4_194_304 }],
    ["a duration", ["--wait=1m"], { wait: 60_000 }],
    ["a bare number of seconds", ["--wait=3"], { wait: 3000 }],
  ];
  for (const [what, argv, wanted] of spellings) {
    it(`takes ${what}`, () => {
      const { values, words } = parse(argv);
      for (const [name, value] of Object.entries(wanted)) assert.deepEqual(values[name as keyof Sample], value);
      assert.deepEqual(words, []);
    });
  }

  it("gives the defaults for what is not there, and says what is there", () => {
    const { values, given } = parse(["--app-port=80"]);
    assert.equal(values["app-port"], 80);
    assert.equal(values.level, "low");
    assert.deepEqual([...given], ["app-port"]);
  });

  it("never takes the next word for a boolean", () => {
    const { values, words } = parse(["--verbose", "false"]);
    assert.equal(values.verbose, true);
    assert.deepEqual(words, ["false"]);
  });

  it("collects words between flags", () => {
    assert.deepEqual(parse(["x", "--app-id=y", "-", "--", "--app-id"]).words, ["x", "-", "--app-id"]);
  });

  it("leaves all that follows the first word as it stands when told so", () => {
    const { values, words } = parse(["-a", "x", "node", "--app-id=y", "--", "-p"], true);
    assert.equal(values["app-id"], "x");
    assert.deepEqual(words, ["node", "--app-id=y", "--", "-p"]);
  });

  it("drops the -- that ends the flags", () => {
    assert.deepEqual(parse(["-a", "x", "--", "-v", "--"], true).words, ["-v", "--"]);
  });

  it("names an ignored flag once, and only when it asks for something", () => {
    const argv = ["--mtls=false", "--sentry=", "--sentry", "here", "-s", "there", "-mtls"];
    assert.deepEqual(parse(argv).ignored, ["sentry", "mtls"]);
    assert.deepEqual(parse(argv.slice(0, 2)).ignored, []);
  });

  const faults: [string[], string][] = [
    [["--app-idd=x"], "unknown flag --app-idd; did you mean --app-id?"],
    [["-app-prt", "3000"], "unknown flag -app-prt; did you mean --app-port?"],
    [["--nothing-like-it"], "unknown flag --nothing-like-it"],
    [["-x"], "unknown flag -x"],
    [["-vv"], "unknown flag -vv"],
    [["--p"], "unknown flag --p"],
    [["--__proto__"], "unknown flag --__proto__"],
    [["--constructor=x"], "unknown flag --constructor"],
    [["--app-id"], "--app-id: got nothing, want a value"],
    [["--level=middle"], '--level: got "middle", want low or high'],
    [["--level=constructor"], '--level: got "constructor", want low or high'],
    [["--level=__proto__"], '--level: got "__proto__", want low or high'],
    [["--app-port=ten"], '--app-port: got "ten", want a whole number from -1 to 65535'],
    [["--app-port=65536"], '--app-port: got "65536", want a whole number from -1 to 65535'],
    [["--app-port=0x50"], '--app-port: got "0x50", want a whole number from -1 to 65535'],
    [["--app-port=x", "--app-port=1"], '--app-port: got "x", want a whole number from -1 to 65535'],
    [["--verbose=maybe"], '--verbose: got "maybe", want true or false'],
    [["--verbose="], '--verbose: got "", want true or false'],
    [["--mtls=maybe"], '--mtls: got "maybe", want true or false'],
    [["--level=lower"], '--level: got "lower", want low or high'],
    [["--size=4MiB"], '--size: got "4MiB", want a size in whole bytes, as in "4Mi", "500k" or "4194304"'],
    [["--wait=61s"], '--wait: got "61s", want a duration as in "1m30s", from 0s to 60s'],
    [["--wait=-1s"], '--wait: got "-1s", want a duration as in "1m30s", from 0s to 60s'],
  ];
  for (const [argv, wanted] of faults) {
    it(`refuses ${argv.join(" ")}`, () => {
      assert.equal(fault(argv), wanted);
    });
  }
});

describe("parseQuantity", () => {
  const quantities: [string, number | null][] = [
    ["0", 0],
    ["-1", -1],
    ["+5", 5],
    ["4194304", 4_194_304],
    ["4Ki", 4096],
    ["1.5Ki", 1536],
    [".5Ki", 512],
    ["500k", 500_000],
    ["2M", 2_000_000],
    ["1Gi", 1_073_741_824],
    ["1e3", 1000],
    ["2E3", 2000],
    ["1.0000", 1],
    ["0.3", null],
    ["1e3Ki", null],
    ["4mi", null],
    ["4KB", null],
    ["100m", null],
    ["9Pi", null],
    ["", null],
    ["Mi", null],
    ["1 Mi", null],
    ["0x10", null],
  ];
  for (const [text, wanted] of quantities) {
    it(`reads ${JSON.stringify(text)} as ${wanted}`, () => {
      assert.equal(parseQuantity(text), wanted);
    });
  }
});
