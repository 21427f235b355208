// What a container of the image starts and as whom. The Dockerfile says the same; a test compares.
import { VERSION } from "#kit/version.ts";
import type { Image } from "./oci.ts";
import { USER_ID } from "./runtime.ts";

/** As containerd spells `pannier:VERSION` in full. */
export const REFERENCE: string = `docker.io/library/pannier:${VERSION}`;

export const CONFIG: Image["config"] = {
  User: `${USER_ID}:${USER_ID}`,
  WorkingDir: "/app",
  Env: ["PATH=/usr/bin"],
  // A third less memory in every pod for some CPU: docs/performance.md.
  Entrypoint: ["/usr/bin/node", "--max-semi-space-size=4", "/app/pannier.js"],
  Labels: {
    "org.opencontainers.image.title": "pannier",
    "org.opencontainers.image.description": "State API beside every pod: sidecar, operator and injector",
    "org.opencontainers.image.version": VERSION,
    "org.opencontainers.image.licenses": "Apache-2.0",
  },
};
