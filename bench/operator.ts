// `npm run bench:operator [-- --components N --streams N --rate N --seconds N]`: the built operator (dist/) on a real API
// server: how long its webhook takes, what N Components and N sidecar streams cost it, how soon a change is with all of
// them. Needs `npm run build` and what the tests on Kubernetes need. Prints a table and writes it to bench/results/.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, get, request } from "node:https";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { RESOURCES_PATH } from "#crds/distribution.ts";
import { sharedBed } from "#test/cluster/bed.ts";
import { installCrds } from "#test/cluster/crds.ts";
import { manifest } from "#test/kube/component-operator.ts";
import { SidecarPods } from "#test/kube/sidecar-pods.ts";
import { freePort } from "#test/servers/free-port.ts";
import { privateMb, summed } from "./measured.ts";

const { values: flags } = parseArgs({
  options: {
    components: { type: "string", default: "1000" },
    streams: { type: "string", default: "5000" },
    rate: { type: "string", default: "50" },
    seconds: { type: "string", default: "10" },
  },
});
const [COMPONENTS, STREAMS, RATE, SECONDS] = [flags.components, flags.streams, flags.rate, flags.seconds].map(
  Number,
) as [number, number, number, number];
const OPERATOR = fileURLToPath(new URL("../dist/operator.js", import.meta.url));
const READY_WITHIN_MS = 60_000;
const CONNECTING_AT_ONCE = 50;

const lines: string[] = [];
const folder = mkdtempSync(join(tmpdir(), "pannier-bench-"));
const bed = await sharedBed();
await installCrds(bed);
const pods = await SidecarPods.inFreshNamespace(bed);
const own = await bed.namespace();
const ports = { webhook: await freePort(), api: await freePort(), metrics: await freePort(), health: await freePort() };
const operator = spawn(
  process.execPath,
  [
    OPERATOR,
    ...Object.entries(ports).map(([name, port]) => `--${name}-port=${port}`),
    `--namespace=${own}`,
    `--kubeconfig=${bed.kubeconfig}`,
    "--sidecar-image=pannier:bench",
    "--certificate-names=localhost",
    "--leader-elect=false",
    "--log-level=warn",
  ],
  { stdio: ["ignore", "ignore", "inherit"] },
);
const pid = operator.pid ?? 0;
try {
  heading();
  await ready();
  row("private memory at rest", `${privateMb(pid)} MB`);
  await webhook();
  await components();
  const streams = await connect();
  row(`private memory with ${COMPONENTS} Components and ${STREAMS} streams`, `${privateMb(pid)} MB`);
  await change(streams);
  row("private memory after that", `${privateMb(pid)} MB`);
  writeFileSync(fileURLToPath(new URL(`./results/${today()}-operator.md`, import.meta.url)), `${lines.join("\n")}\n`);
} finally {
  operator.kill();
  await once(operator, "exit");
  pods.close();
  rmSync(folder, { recursive: true });
}
process.exit(0);

async function ready(): Promise<void> {
  const end = performance.now() + READY_WITHIN_MS;
  while (performance.now() < end) {
    const answer = await fetch(`http://127.0.0.1:${ports.health}/readyz`).catch(() => null);
    if (answer?.status === 200) return;
    await pause(20);
  }
  throw new Error(`the operator is not ready within ${READY_WITHIN_MS} ms`);
}

/** Admissions at a steady rate, whatever the answers take. */
async function webhook(): Promise<void> {
  const agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
  const latenciesUs: number[] = [];
  const waiting: Promise<void>[] = [];
  const startMs = performance.now();
  for (let nth = 0; nth < RATE * SECONDS; nth++) {
    await pause(Math.max(0, startMs + (nth * 1000) / RATE - performance.now()));
    waiting.push(admit(agent, nth).then((us) => void latenciesUs.push(us)));
  }
  await Promise.all(waiting);
  agent.destroy();
  const { p50Us, p99Us } = summed(latenciesUs, SECONDS);
  row(`webhook, ${RATE} admissions a second: median, p99`, `${ms(p50Us)}, ${ms(p99Us)}`);
}

async function admit(agent: Agent, nth: number): Promise<number> {
  const body = JSON.stringify({
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    request: {
      uid: String(nth),
      kind: { group: "", version: "v1", kind: "Pod" },
      operation: "CREATE",
      namespace: pods.namespace,
      object: {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: `app-${nth}`, annotations: { "dapr.io/enabled": "true", "dapr.io/app-id": "app" } },
        spec: { containers: [{ name: "app", image: "app", env: [], ports: [{ containerPort: 8080 }] }] },
      },
    },
  });
  const startMs = performance.now();
  const asked = request({
    agent,
    host: "127.0.0.1",
    port: ports.webhook,
    method: "POST",
    path: "/mutate",
    headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
  });
  asked.end(body);
  const [answer] = await once(asked, "response");
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk);
  const { allowed, patch } = JSON.parse(Buffer.concat(chunks).toString()).response;
  if (allowed !== true || patch === undefined) throw new Error("the webhook did not inject");
  return (performance.now() - startMs) * 1000;
}

async function components(): Promise<void> {
  const startMs = performance.now();
  const documents = Array.from({ length: COMPONENTS }, (_, nth) =>
    manifest({
      name: `store-${nth}`,
      namespace: pods.namespace,
      metadata: [{ name: "keyPrefix", value: `app-${nth}` }],
    }),
  );
  const file = join(folder, "components.json");
  // One list: kubectl sends them one after the other all the same.
  writeFileSync(
    file,
    JSON.stringify({ apiVersion: "v1", kind: "List", items: documents.map((each) => JSON.parse(each)) }),
  );
  for (let from = 0; from < COMPONENTS; from += 250) {
    const items = documents.slice(from, from + 250).map((each) => JSON.parse(each));
    await bed.kubectl(["create", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items }));
  }
  const unknown = `pannier_operator_components{ready="Unknown"} ${COMPONENTS}`;
  while (!(await metrics()).includes(unknown)) await pause(100);
  row(`${COMPONENTS} Components created and judged`, ms((performance.now() - startMs) * 1000));
  row(`private memory with ${COMPONENTS} Components`, `${privateMb(pid)} MB`);
}

async function metrics(): Promise<string> {
  return (await fetch(`http://127.0.0.1:${ports.metrics}/metrics`)).text();
}

interface Stream {
  /** Resolves with the time when a line with this text has come. */
  seen(text: string): Promise<number>;
}

async function connect(): Promise<readonly Stream[]> {
  const names = Array.from({ length: STREAMS }, (_, nth) => `app-${nth}`);
  await pods.createAll(names, (name) => ({ "dapr.io/enabled": "true", "dapr.io/app-id": name }));
  const tokens = await pods.tokens(names);
  const startMs = performance.now();
  const streams: Stream[] = [];
  for (let from = 0; from < STREAMS; from += CONNECTING_AT_ONCE) {
    streams.push(...(await Promise.all(tokens.slice(from, from + CONNECTING_AT_ONCE).map(open))));
  }
  row(`${STREAMS} streams opened, each with its full set`, ms((performance.now() - startMs) * 1000));
  return streams;
}

async function open(token: string): Promise<Stream> {
  const asked = get({
    host: "127.0.0.1",
    port: ports.api,
    path: RESOURCES_PATH,
    rejectUnauthorized: false,
    agent: false,
    headers: { authorization: `Bearer ${token}` },
  });
  const [answer] = await once(asked, "response");
  if (answer.statusCode !== 200) throw new Error(`a stream was answered with ${answer.statusCode}`);
  const reader = createInterface(answer);
  const waiting = new Map<string, (atMs: number) => void>();
  const synced = Promise.withResolvers<void>();
  reader.on("line", (line) => {
    if (line.includes('"synced"')) synced.resolve();
    for (const [text, resolve] of waiting) if (line.includes(text)) resolve(performance.now());
  });
  await synced.promise;
  return { seen: (text) => new Promise((resolve) => waiting.set(text, resolve)) };
}

async function change(streams: readonly Stream[]): Promise<void> {
  const seen = Promise.all(streams.map((stream) => stream.seen("changed-by-bench")));
  const startMs = performance.now();
  const metadata = [{ name: "keyPrefix", value: "changed-by-bench" }];
  await bed.kubectl(["apply", "-f", "-"], manifest({ name: "store-0", namespace: pods.namespace, metadata }));
  const atMs = (await seen).toSorted((left, right) => left - right);
  const at = (share: number): string => ms(((atMs[Math.floor((atMs.length - 1) * share)] ?? 0) - startMs) * 1000);
  row(`a change with half of the streams, with all (kubectl's own time in it)`, `${at(0.5)}, ${at(1)}`);
}

function ms(us: number): string {
  return `${(us / 1000).toFixed(us < 100_000 ? 1 : 0)} ms`;
}

function row(what: string, value: string): void {
  print(`| ${what} | ${value} |`);
}

function heading(): void {
  print(`# ${today()}, operator\n`);
  print(
    `${cpus().length} cores ${cpus()[0]?.model}, Node ${process.version}; API server and load on the same machine.\n`,
  );
  print("| | |\n|---|---|");
}

function today(): string {
  return new Date().toISOString().slice(0, 10);
}

function print(line: string): void {
  lines.push(line);
  process.stdout.write(`${line}\n`);
}
