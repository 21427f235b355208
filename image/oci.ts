// An image as an OCI archive: layers, configuration, manifest, index (image-spec 1.1). Knows formats, not content.
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { complete, type Entry, file } from "./entry.ts";
import { tar } from "./tar.ts";

export interface Image {
  /** Lowest first. */
  readonly layers: readonly (readonly Entry[])[];
  /** As Go names it: "amd64", "arm64". */
  readonly architecture: string;
  readonly config: {
    readonly User: string;
    readonly WorkingDir: string;
    readonly Env: readonly string[];
    readonly Entrypoint: readonly string[];
    readonly Labels: Readonly<Record<string, string>>;
  };
  /** In containerd's full form, as "docker.io/library/pannier:0.1.0". */
  readonly reference: string;
}

/** Not the time of the build: the same source gives the same digest. */
const CREATED = "1970-01-01T00:00:00Z";

const MEDIA = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  // Compressed, because a registry keeps and sends a layer as it was pushed.
  layer: "application/vnd.oci.image.layer.v1.tar+gzip",
} as const;

interface Blob {
  readonly bytes: Buffer;
  readonly descriptor: { readonly mediaType: string; readonly digest: string; readonly size: number };
}

/** The bytes of the archive, which `ctr images import`, `skopeo copy oci-archive:` and `docker load` (25 and later) take. */
export function ociArchive(image: Image): Buffer {
  const { architecture, reference } = image;
  const tars = image.layers.map((entries) => tar(complete(entries)));
  const layers = tars.map((bytes) => blob(MEDIA.layer, gzipSync(bytes)));
  const config = jsonBlob(MEDIA.config, {
    created: CREATED,
    architecture,
    os: "linux",
    config: image.config,
    rootfs: { type: "layers", diff_ids: tars.map(digestOf) },
    history: layers.map(() => ({ created: CREATED })),
  });
  const manifest = jsonBlob(MEDIA.manifest, {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: config.descriptor,
    layers: layers.map(({ descriptor }) => descriptor),
    annotations: image.config.Labels,
  });
  const index = {
    schemaVersion: 2,
    mediaType: MEDIA.index,
    manifests: [
      {
        ...manifest.descriptor,
        platform: { architecture, os: "linux" },
        annotations: {
          // containerd names the imported image by the first, everybody else its tag by the second.
          "io.containerd.image.name": reference,
          "org.opencontainers.image.ref.name": reference.slice(reference.lastIndexOf(":") + 1),
        },
      },
    ],
  };
  const blobs = [...layers, config, manifest];
  return tar(
    complete([
      file("oci-layout", JSON.stringify({ imageLayoutVersion: "1.0.0" })),
      file("index.json", JSON.stringify(index)),
      ...blobs.map(({ bytes, descriptor }) => file(`blobs/${descriptor.digest.replace(":", "/")}`, bytes)),
    ]),
  );
}

function jsonBlob(mediaType: string, value: unknown): Blob {
  return blob(mediaType, Buffer.from(JSON.stringify(value)));
}

function blob(mediaType: string, bytes: Buffer): Blob {
  return { bytes, descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length } };
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
