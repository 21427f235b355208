// The lower layer of the image: Node, the shared libraries that it needs, and what the C library reads. All of it is
// taken from the machine that builds, which has to be of the architecture and the Debian that the image is for.
import { execFile } from "node:child_process";
import { readFile, realpath } from "node:fs/promises";
import { promisify } from "node:util";
import { type Entry, file, folder, PROGRAM_MODE } from "./entry.ts";

export const USER_ID = 65_532;

const PASSWD = `root:x:0:0:root:/:/sbin/nologin\nnonroot:x:${USER_ID}:${USER_ID}:nonroot:/app:/sbin/nologin\n`;
const GROUP = `root:x:0:\nnonroot:x:${USER_ID}:\n`;
const SHARED_TMP_MODE = 0o1777;

/** Loaded by name when a host is looked up, so `ldd` does not list them. */
const LOADED_BY_NAME = ["libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2"];

/** Debian's packages of those libraries, for their licences. */
const LIBRARY_PACKAGES = ["libc6", "libgcc-s1", "libstdc++6", "libatomic1"];

/** Takes the path of the Node binary. Rejects on a machine without glibc's `ldd`. */
export async function runtimeLayer(nodeBinary: string): Promise<readonly Entry[]> {
  const linked = await librariesOf(nodeBinary);
  const libc = linked.find((path) => path.endsWith("/libc.so.6"));
  if (libc === undefined) throw new Error(`${nodeBinary}: got no libc.so.6 from ldd, want a build for glibc`);
  const beside = LOADED_BY_NAME.map((name) => libc.replace("libc.so.6", name));
  const copies = [...new Set([...linked, ...beside])].map(copyOf);
  const licences = LIBRARY_PACKAGES.map(async (name) =>
    file(`licenses/debian/${name}`, await readFile(`/usr/share/doc/${name}/copyright`)),
  );
  return [
    file("usr/bin/node", await readFile(nodeBinary), PROGRAM_MODE),
    file("licenses/node", `See https://github.com/nodejs/node/blob/${process.version}/LICENSE\n`),
    ...(await Promise.all([...copies, ...licences])),
    file("etc/passwd", PASSWD),
    file("etc/group", GROUP),
    // Without it glibc asks the resolver before /etc/hosts, where the kubelet writes the pod's own name.
    file("etc/nsswitch.conf", "hosts: files dns\n"),
    folder("tmp", SHARED_TMP_MODE),
  ];
}

/** Absolute paths, the loader among them. */
async function librariesOf(program: string): Promise<readonly string[]> {
  const { stdout } = await promisify(execFile)("ldd", [program]);
  const missing = stdout.split("\n").filter((line) => line.includes("not found"));
  if (missing.length > 0) throw new Error(`${program}: shared libraries are missing:${missing.join(",")}`);
  return [...stdout.matchAll(/\/\S+/g)].map(([path]) => path);
}

async function copyOf(path: string): Promise<Entry> {
  return file(path.slice(1), await readFile(await realpath(path)), PROGRAM_MODE);
}
