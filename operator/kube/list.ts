// A whole list in pages, one consistent set with the version to watch from. Keeps nothing of an object but what `trim` gives.
import { unanswered } from "./answer.ts";
import { ANSWER_TOO_LONG, type KubeClient, KubeError } from "./client.ts";
import type { KubeObject } from "./object.ts";

/** Objects of one page; fewer where so many are longer than an answer may be: half as many, down to one. */
export const LIST_PAGE_OBJECTS = 500;
/** More objects than this are an error, and never a silent end: whoever has so many needs namespaces or labels to watch. */
export const LIST_OBJECTS_MAX = 200_000;
/** Time for one page, in milliseconds. */
export const LIST_TIMEOUT_MS = 60_000;
/** How often one list begins again because the API server forgot its place between two pages. */
const LIST_RESTARTS_MAX = 3;

export interface ListRequest<T> {
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly accept: string;
  /** Null for an object that is left out. */
  readonly trim: (object: KubeObject) => T | null;
  /** Called with each page that came. */
  readonly onPage: () => void;
  readonly signal: AbortSignal;
}

export interface Listed<T> {
  readonly objects: readonly T[];
  /** Opaque. */
  readonly resourceVersion: string;
}

interface Page {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly KubeObject[] | null;
}

/** Gives all objects of a collection as of one version. Rejects with a KubeError. */
export async function listAll<T>(client: KubeClient, request: ListRequest<T>): Promise<Listed<T>> {
  for (let restarts = 0; ; restarts++) {
    try {
      return await listOnce(client, request);
    } catch (error) {
      // The place between two pages is too old; the pages so far belong to a version that is gone.
      const expired = error instanceof KubeError && error.status === 410;
      if (!expired || restarts === LIST_RESTARTS_MAX) throw error;
    }
  }
}

async function listOnce<T>(client: KubeClient, request: ListRequest<T>): Promise<Listed<T>> {
  const { path, accept, signal } = request;
  const objects: T[] = [];
  let place = "";
  let limit = LIST_PAGE_OBJECTS;
  for (;;) {
    const query = { ...request.query, limit: String(limit), ...(place === "" ? {} : { continue: place }) };
    const asked = { method: "GET", path, query, accept, signal, timeoutMs: LIST_TIMEOUT_MS } as const;
    const page = await unlessTooLong(client.request<Page>(asked), limit);
    request.onPage();
    if (page === null) {
      limit = Math.ceil(limit / 2);
      continue;
    }
    for (const item of itemsOf(page, path)) {
      const object = request.trim(item);
      if (object !== null) objects.push(object);
    }
    if (objects.length > LIST_OBJECTS_MAX) throw unanswered(`GET ${path}: more than ${LIST_OBJECTS_MAX} objects`);
    place = page.metadata?.continue ?? "";
    const version = page.metadata?.resourceVersion ?? "";
    if (place === "" && version === "") throw unanswered(`GET ${path}: a list without resourceVersion`);
    if (place === "") return { objects, resourceVersion: version };
  }
}

/** Null for a page of several objects that was too long: whoever may write large objects must not stop the list. */
async function unlessTooLong(page: Promise<Page>, limit: number): Promise<Page | null> {
  try {
    return await page;
  } catch (error) {
    if (error instanceof KubeError && error.reason === ANSWER_TOO_LONG && limit > 1) return null;
    throw error;
  }
}

/** Items of a list lack the kind that objects of a watch have: it is filled in, so that both look alike. */
function* itemsOf(page: Page, path: string): Generator<KubeObject> {
  if (page.kind?.endsWith("List") !== true) throw unanswered(`GET ${path}: the answer is no list`);
  const kind = page.kind.slice(0, -"List".length);
  for (const item of page.items ?? []) {
    if (typeof item?.metadata?.name !== "string") throw unanswered(`GET ${path}: an item without a name`);
    yield { ...(page.apiVersion === undefined ? {} : { apiVersion: page.apiVersion }), kind, ...item };
  }
}
