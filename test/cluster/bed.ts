// One Kubernetes API server for all tests of a run: the user's own cluster, or etcd, kube-apiserver and
// kube-controller-manager started by the scripts beside this file, lazily, and taken down when the run ends, however it
// ends. Knows no resource of Pannier.
import { execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { isRequired } from "../servers/required.ts";
import { binariesMissing, cacheFolder, ensureBinaries, findBinary, SCRIPTS } from "./binaries.ts";

export interface CommandResult {
  /** Null when it was ended by a signal or ran into its limit. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Bed {
  /** Path of a kubeconfig that may do everything. */
  readonly kubeconfig: string;
  /** https URL of the API server. */
  readonly server: string;
  /** Whether this bed's API server may be stopped: true for a bed of the run's own, false for a cluster that was given. */
  readonly isOwn: boolean;
  /** Whether service accounts, garbage collection, namespace deletion and Deployments work. */
  readonly hasControllers: boolean;
  /** Gives what kubectl prints; rejects with its standard error when it fails. */
  kubectl(args: readonly string[], stdin?: string): Promise<string>;
  /** Never rejects for a failure of kubectl: for tests of refusals and warnings. */
  tryKubectl(args: readonly string[], stdin?: string): Promise<CommandResult>;
  /** A fresh namespace with its `default` service account. */
  namespace(): Promise<string>;
  /** Path of a kubeconfig of another user: by a client certificate, or on a given cluster by impersonation. */
  kubeconfigFor(user: string, groups?: readonly string[]): Promise<string>;
  /** Ends the API server; connections break. Rejects on a cluster that was given. */
  stopApiServer(): Promise<void>;
  /** Starts it again with the same port and data, and resolves when it is ready. */
  startApiServer(): Promise<void>;
  restartApiServer(): Promise<void>;
}

/** Longest wait for a bed that has to be compiled first, in milliseconds: slow machines take 20 minutes. */
export const BED_WITHIN_MS: number = 40 * 60_000;
const KUBECTL_WITHIN_MS = 60_000;
const SCRIPT_WITHIN_MS = 150_000;
const OUTPUT_BYTES_MAX = 32 * 1024 * 1024;
const STARTS_MAX = 3;
const SERVICE_ACCOUNT_WITHIN_MS = 30_000;
const POLL_MS = 100;

/**
 * Why there can be no API server here and what to do about it, or null when there is one. With `kube` among the words of
 * PANNIER_TEST_REQUIRE a missing one is no reason, so that CI cannot skip in silence.
 */
export function bedMissing(): string | null {
  return isRequired("kube") || process.env.PANNIER_TEST_KUBECONFIG ? null : binariesMissing();
}

/**
 * A describe for tests that need an API server, which is up before their first hook runs; where there can be none they
 * are pending, with the reason in the title.
 */
export function describeWithBed(title: string, body: () => void): void {
  const missing = bedMissing();
  if (missing !== null) {
    describe.skip(`${title} (not run: ${missing})`, body);
    return;
  }
  describe(title, () => {
    before("the API server", async function () {
      this.timeout(BED_WITHIN_MS);
      await sharedBed();
    });
    body();
  });
}

let shared: Promise<Bed> | null = null;

/** The one bed of this process; the first call starts it. */
export function sharedBed(): Promise<Bed> {
  shared ??= process.env.PANNIER_TEST_KUBECONFIG ? givenBed(process.env.PANNIER_TEST_KUBECONFIG) : ownBed();
  return shared;
}

async function givenBed(kubeconfig: string): Promise<Bed> {
  const common = commonOf(kubeconfig, true);
  const server = await common.kubectl(["config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"]);
  const refuse = (): Promise<never> =>
    Promise.reject(new Error(`the API server of PANNIER_TEST_KUBECONFIG (${server}) is not ours to stop`));
  let folder: string | null = null;
  process.once("exit", () => {
    const names = common.namespaces();
    if (names.length > 0) spawnSync(common.program, [...common.flags, "delete", "namespace", "--wait=false", ...names]);
    if (folder !== null) rmSync(folder, { recursive: true, force: true });
  });
  return {
    ...common,
    server,
    isOwn: false,
    hasControllers: true,
    kubeconfigFor: async (user, groups = []) => {
      const given = JSON.parse(await common.kubectl(["config", "view", "--raw", "--minify", "-o", "json"]));
      Object.assign(given.users[0].user, { as: user, "as-groups": groups });
      folder ??= temporaryFolder();
      const path = join(folder, `${fileName(`${user} ${groups.join(" ")}`)}.kubeconfig`);
      writeFileSync(path, JSON.stringify(given), { mode: 0o600 });
      return path;
    },
    stopApiServer: refuse,
    startApiServer: refuse,
    restartApiServer: refuse,
  };
}

async function ownBed(): Promise<Bed> {
  await ensureBinaries();
  for (let start = 1; ; start++) {
    const folder = temporaryFolder();
    try {
      await upIn(folder, "up-api.sh");
      return bedIn(folder);
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      // Between the search for a free port and the start another process can have taken it.
      if (start === STARTS_MAX || !String(error).includes("address already in use")) throw error;
    }
  }
}

/** Short, since the paths of sockets have a limit. */
export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), "pannier-bed-"));
}

/**
 * Runs one of the scripts that bring a bed up in this folder; resolves when it is ready. The script lives as long as this
 * process and takes the bed down after it.
 */
export async function upIn(
  folder: string,
  script: "up-api.sh" | "up-node.sh",
  args: readonly string[] = [],
): Promise<void> {
  const child = spawn(join(SCRIPTS, script), ["--attached", ...args], {
    env: { ...process.env, BED_DIR: folder },
    // A group of its own: an interrupt at the terminal reaches only the run, which then ends the bed.
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
  });
  let told = "";
  child.stderr.on("data", (chunk: Buffer) => {
    told += chunk.toString();
  });
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`test/cluster/${script} ended with ${code}\n${told}`);
  });
  await Promise.race([once(child.stdout, "data"), ended]);
  // Nothing of it keeps the run from ending.
  ended.catch(() => undefined);
  child.unref();
  for (const stream of [child.stdin, child.stdout, child.stderr]) if (stream instanceof Socket) stream.unref();
  process.once("exit", () => {
    spawnSync(join(SCRIPTS, "down.sh"), ["--wipe"], { env: { ...process.env, BED_DIR: folder } });
  });
}

async function bedIn(folder: string): Promise<Bed> {
  const common = commonOf(join(folder, "admin.kubeconfig"), findBinary("kube-controller-manager") !== null);
  const port = (await readFile(join(folder, "ports"), "utf8")).trim().split(" ")[1];
  const script = async (name: string, args: readonly string[]): Promise<string> => {
    const options = { env: { ...process.env, BED_DIR: folder }, timeoutMs: SCRIPT_WITHIN_MS };
    return output(name, await run(join(SCRIPTS, name), args, options));
  };
  const stopApiServer = async (): Promise<void> => {
    await script("api-server.sh", ["stop"]);
  };
  const startApiServer = async (): Promise<void> => {
    await script("api-server.sh", ["start"]);
  };
  return {
    ...common,
    server: `https://127.0.0.1:${port}`,
    isOwn: true,
    kubeconfigFor: async (user, groups = []) =>
      (await script("kubeconfig.sh", [fileName(`${user} ${groups.join(" ")}`), user, ...groups])).trim(),
    stopApiServer,
    startApiServer,
    restartApiServer: async () => {
      await stopApiServer();
      await startApiServer();
    },
  };
}

/** What every cluster has of a bed, whoever started it. */
export type Common = Pick<Bed, "kubeconfig" | "hasControllers" | "kubectl" | "tryKubectl" | "namespace"> & {
  /** Path of kubectl, and what it is always given. */
  readonly program: string;
  readonly flags: readonly string[];
  /** Those made so far. */
  namespaces(): readonly string[];
};

export function commonOf(kubeconfig: string, hasControllers: boolean): Common {
  const program = findBinary("kubectl") ?? join(cacheFolder(), "kubectl");
  const flags = ["--kubeconfig", kubeconfig];
  const made: string[] = [];
  const tryKubectl: Bed["tryKubectl"] = (args, stdin) =>
    run(program, [...flags, ...args], { timeoutMs: KUBECTL_WITHIN_MS, ...(stdin === undefined ? {} : { stdin }) });
  const kubectl: Bed["kubectl"] = async (args, stdin) =>
    output(`kubectl ${args.join(" ")}`, await tryKubectl(args, stdin));
  return {
    kubeconfig,
    hasControllers,
    program,
    flags,
    kubectl,
    tryKubectl,
    namespaces: () => made,
    namespace: async () => {
      const name = `test-${process.pid}-${made.length + 1}`;
      made.push(name);
      await kubectl(["create", "namespace", name]);
      if (hasControllers) await serviceAccountOf(name, tryKubectl);
      else await kubectl(["-n", name, "create", "serviceaccount", "default"]);
      return name;
    },
  };
}

/** Until the controller has made it, no pod can be created in the namespace. */
async function serviceAccountOf(namespace: string, tryKubectl: Bed["tryKubectl"]): Promise<void> {
  const end = Date.now() + SERVICE_ACCOUNT_WITHIN_MS;
  for (;;) {
    const { status, stderr } = await tryKubectl(["-n", namespace, "get", "serviceaccount", "default"]);
    if (status === 0) return;
    if (Date.now() > end) throw new Error(`namespace ${namespace} has no service account: ${stderr}`);
    await pause(POLL_MS);
  }
}

function run(
  program: string,
  args: readonly string[],
  { stdin, env, timeoutMs }: { stdin?: string; env?: NodeJS.ProcessEnv; timeoutMs: number },
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const options = {
      encoding: "utf8",
      maxBuffer: OUTPUT_BYTES_MAX,
      timeout: timeoutMs,
      env: env ?? process.env,
    } as const;
    const child = execFile(program, [...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code;
      if (typeof code === "string") reject(error);
      else resolve({ status: code ?? null, stdout, stderr });
    });
    // A program that ends before it has read its input is judged by its status.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(stdin ?? "");
  });
}

function output(what: string, { status, stdout, stderr }: CommandResult): string {
  if (status !== 0) throw new Error(`${what} ended with ${status}: ${stderr.trim()}`);
  return stdout;
}

function fileName(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9]+/g, "-");
}
