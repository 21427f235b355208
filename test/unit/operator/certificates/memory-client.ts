// Objects behind a KubeClient, in memory: versions, conflicts and server-side apply as far as certificates need them.
// What a real API server makes of the same requests is tested in test/kube/.
import { type KubeClient, KubeError, type KubeRequest } from "#operator/kube/client.ts";

interface Stored {
  [member: string]: unknown;
  metadata: { name: string; resourceVersion: string; [member: string]: unknown };
}

export class MemoryClient implements KubeClient {
  readonly objects: Map<string, Stored> = new Map();
  /** "PATCH /api/…", in their order. */
  readonly asked: string[] = [];
  /** Answers instead of the store when it gives something. */
  fault: (request: KubeRequest) => KubeError | null = () => null;
  /** Takes every request and never answers. */
  isMute = false;
  #version = 0;

  request<T>(request: KubeRequest): Promise<T> {
    this.asked.push(`${request.method} ${request.path}`);
    if (this.isMute) return abortionOf(request.signal);
    const fault = this.fault(request);
    if (fault !== null) return Promise.reject(fault);
    try {
      return Promise.resolve(structuredClone(this.#answer(request)) as T);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  stream(): Promise<AsyncIterable<Buffer>> {
    return Promise.reject(failure(501, "NotImplemented"));
  }

  close(): void {
    this.objects.clear();
  }

  /** How many requests with this method were asked. */
  count(method: string): number {
    return this.asked.filter((each) => each.startsWith(`${method} `)).length;
  }

  #answer({ method, path, body }: KubeRequest): Stored {
    const stored = this.objects.get(path);
    switch (method) {
      case "GET":
        if (stored === undefined) throw failure(404, "NotFound");
        return stored;
      case "POST": {
        const sent = body as Stored;
        const place = `${path}/${sent.metadata.name}`;
        if (this.objects.has(place)) throw failure(409, "AlreadyExists");
        return this.put(place, sent);
      }
      case "PUT": {
        const sent = body as Stored;
        if (stored === undefined) throw failure(404, "NotFound");
        if (stored.metadata.resourceVersion !== sent.metadata.resourceVersion) throw failure(409, "Conflict");
        return this.put(path, sent);
      }
      case "PATCH":
        return this.put(path, merge(stored ?? {}, body) as Stored);
      case "DELETE":
        if (stored === undefined) throw failure(404, "NotFound");
        this.objects.delete(path);
        return stored;
    }
  }

  put(
    path: string,
    object: Omit<Stored, "metadata"> & { metadata: { name: string; [member: string]: unknown } },
  ): Stored {
    const uid = this.objects.get(path)?.metadata.uid ?? `uid-${path}`;
    const metadata = { ...object.metadata, uid, resourceVersion: String(++this.#version) };
    const stored: Stored = { ...structuredClone(object), metadata };
    this.objects.set(path, stored);
    return stored;
  }
}

function abortionOf(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    const abort = (): void => reject(failure(0, "Aborted"));
    if (signal?.aborted === true) abort();
    else signal?.addEventListener("abort", abort, { once: true });
  });
}

export function failure(status: number, reason: string): KubeError {
  return new KubeError(`${status} ${reason}`, { status, reason, retryAfterMs: null });
}

/** Mappings member by member, lists of named members by name, all else replaced. */
function merge(old: unknown, applied: unknown): unknown {
  if (isNamedList(old) && isNamedList(applied)) {
    const rest = old.filter(({ name }) => !applied.some((each) => each.name === name));
    return [...rest, ...applied.map((each) => merge(old.find(({ name }) => name === each.name) ?? {}, each))];
  }
  if (!isMapping(old) || !isMapping(applied)) return applied;
  const merged = Object.entries(applied).map(([name, value]) => [name, merge(old[name], value)]);
  return { ...old, ...Object.fromEntries(merged) };
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isNamedList(value: unknown): value is { name: string }[] {
  return Array.isArray(value) && value.every((each) => isMapping(each) && typeof each.name === "string");
}
