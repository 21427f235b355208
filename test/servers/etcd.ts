// Real etcd servers for tests: private ports on 127.0.0.1, own temporary folders, nothing flushed to the disk. The program
// is etcd from PATH, or what PANNIER_TEST_ETCD_SERVER names.
import { spawnSync } from "node:child_process";
import { mkdtemp } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Certificates } from "./certificates.ts";
import { ChildServer } from "./child-server.ts";
import { freePort } from "./free-port.ts";
import { describeUnless, type LocalServer, localServer, startPlanned } from "./local-server.ts";
import { isRequired } from "./required.ts";

export interface EtcdOptions {
  /** More arguments for etcd. */
  readonly args?: readonly string[];
  /** Speak TLS only, and demand a certificate that the same authority signed. */
  readonly certificates?: Certificates;
}

export interface EtcdServer extends LocalServer {
  /** "127.0.0.1:2379", as in `endpoints`. */
  readonly address: string;
  /**
   * Asks etcd's own HTTP gateway, "/v3/kv/put" and so on: a second client, which knows nothing of ours. Texts in bytes
   * are base64 there. Rejects with what it said when that is not 200.
   */
  gateway(path: string, body: object, token?: string): Promise<Record<string, unknown>>;
}

const HEALTHY_WITHIN_MS = 15_000;
const HEALTH_PAUSE_MS = 20;

function program(): string {
  return process.env.PANNIER_TEST_ETCD_SERVER ?? "etcd";
}

/**
 * Why there can be no etcd here and what to do about it, or null when there is one. With PANNIER_TEST_REQUIRE=etcd a
 * missing one is no reason: null, and `startEtcd` fails, so that CI cannot skip in silence.
 */
export function etcdMissing(): string | null {
  return isRequired("etcd") ? null : whyMissing();
}

function whyMissing(): string | null {
  const { error } = spawnSync(program(), ["--version"], { stdio: "ignore" });
  if (error === undefined) return null;
  return `${program()} cannot be run (${error.message}): install it (Debian: apt-get install etcd-server), or name its path in PANNIER_TEST_ETCD_SERVER`;
}

/** A describe for tests that need an etcd: where there can be none they are pending, with the reason in the title. */
export function describeWithEtcd(title: string, body: () => void): void {
  describeUnless(etcdMissing(), title, body);
}

/** Starts one server and resolves when it answers. Whoever starts one stops it. */
export async function startEtcd(options: EtcdOptions = {}): Promise<EtcdServer> {
  const [server] = await startEtcdCluster(1, options);
  if (server === undefined) throw new Error("a cluster of one server has no server");
  return server;
}

/** Starts the members of one cluster. Whoever starts them stops each. */
export async function startEtcdCluster(members: number, options: EtcdOptions = {}): Promise<readonly EtcdServer[]> {
  const missing = whyMissing();
  if (missing !== null) throw new Error(missing);
  return startPlanned(async () => {
    const planned = await planMembers(members);
    const cluster = planned.map(({ name, peerPort }) => `${name}=http://127.0.0.1:${peerPort}`).join(",");
    return planned.map((member) => {
      const child = childOf(member, cluster, options);
      return { child, server: running(child, member, options) };
    });
  });
}

interface Member {
  readonly name: string;
  readonly port: number;
  readonly peerPort: number;
  readonly folder: string;
}

function planMembers(members: number): Promise<readonly Member[]> {
  const plan = async (name: string): Promise<Member> => ({
    name,
    port: await freePort(),
    peerPort: await freePort(),
    folder: await mkdtemp(join(tmpdir(), "pannier-etcd-")),
  });
  return Promise.all(Array.from({ length: members }, (_, index) => plan(`m${index}`)));
}

function childOf(member: Member, cluster: string, { certificates, args = [] }: EtcdOptions): ChildServer {
  const client = `${certificates === undefined ? "http" : "https"}://127.0.0.1:${member.port}`;
  const peer = `http://127.0.0.1:${member.peerPort}`;
  const tls =
    certificates === undefined
      ? []
      : [
          ...["--cert-file", certificates.serverCertificateFile, "--key-file", certificates.serverKeyFile],
          ...["--trusted-ca-file", certificates.authorityFile, "--client-cert-auth"],
        ];
  return new ChildServer({
    command: program(),
    args: [
      ...["--name", member.name, "--data-dir", "data", "--unsafe-no-fsync"],
      ...["--listen-client-urls", client, "--advertise-client-urls", client],
      ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", cluster],
      ...["--logger", "zap", "--log-outputs", "stderr"],
      ...tls,
      ...args,
    ],
    cwd: member.folder,
    readyText: "serving client traffic",
  });
}

function running(child: ChildServer, { port, folder }: Member, { certificates }: EtcdOptions): EtcdServer {
  const gateway: EtcdServer["gateway"] = (path, body, token) => post({ port, path, body, token, certificates });
  const answers = (): Promise<void> => untilHealthy(() => gateway("/v3/maintenance/status", {}));
  return { ...localServer({ child, port, folder, answers }), address: `127.0.0.1:${port}`, gateway };
}

/** A member answers a little later than it accepts: when the cluster has a leader. */
async function untilHealthy(status: () => Promise<Record<string, unknown>>): Promise<void> {
  const end = Date.now() + HEALTHY_WITHIN_MS;
  for (;;) {
    const { leader } = await status().catch((error: unknown) => {
      if (Date.now() > end) throw error;
      return { leader: undefined };
    });
    if (leader !== undefined && leader !== "0") return;
    if (Date.now() > end) throw new Error(`etcd has no leader after ${HEALTHY_WITHIN_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, HEALTH_PAUSE_MS));
  }
}

interface Post {
  readonly port: number;
  readonly path: string;
  readonly body: object;
  readonly token: string | undefined;
  readonly certificates: Certificates | undefined;
}

function post({ port, path, body, token, certificates }: Post): Promise<Record<string, unknown>> {
  const headers: Record<string, string> = { "content-type": "application/json", connection: "close" };
  if (token !== undefined) headers.authorization = token;
  const options = { host: "127.0.0.1", port, path, method: "POST", headers, agent: false as const };
  return new Promise((resolve, reject) => {
    const request =
      certificates === undefined
        ? httpRequest(options)
        : httpsRequest({
            ...options,
            ca: certificates.authority,
            cert: certificates.clientCertificate,
            key: certificates.clientKey,
          });
    request.once("error", reject);
    request.once("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.once("error", reject);
      response.once("end", () => {
        const text = Buffer.concat(chunks).toString();
        if (response.statusCode === 200) resolve(JSON.parse(text));
        else reject(new Error(`${path}: ${response.statusCode} ${text}`));
      });
    });
    request.end(JSON.stringify(body));
  });
}
