// The rules of a Configuration about APIs, `api.allowed` and `api.denied`, and the names that they may have. Knows no
// route and does not apply them.
import { nearest } from "#kit/nearest.ts";
import type { Member, MemberReader } from "./members.ts";

/** One line of `api.allowed` or `api.denied`. */
export interface ApiRule {
  /** In lower case, as the version is. */
  readonly name: string;
  readonly version: string;
  readonly protocol: "http" | "grpc";
}

const STABLE = ["v1", "v1.0"];

/** The APIs of Pannier with the spellings of their versions (dapr-state-api.md 3.3). */
const API_VERSIONS: Readonly<Record<string, readonly string[]>> = {
  state: [...STABLE, "v1alpha1", "v1.0-alpha1"],
  actors: STABLE,
  metadata: STABLE,
  shutdown: STABLE,
  pannier: STABLE,
};

/** Names of Dapr's for APIs that Pannier does not have, and for health, which no rule closes. */
const FOREIGN_APIS: readonly string[] = [
  "bindings",
  "configuration",
  "conversation",
  "crypto",
  "health",
  "healthz",
  "invoke",
  "jobs",
  "lock",
  "publish",
  "pubsub",
  "secrets",
  "subscribe",
  "subtlecrypto",
  "unlock",
  "workflow",
  "workflows",
];

/** A rule for an API that there is none of draws a warning: it was to open or close something. */
export function readRule(reader: MemberReader, item: Member): ApiRule {
  const { name, version, protocol } = reader.members(item, ["name", "version", "protocol"]);
  const want = '"http" or "grpc"';
  const word = (reader.requiredText(protocol, want) ?? "http").toLowerCase();
  if (word !== "http" && word !== "grpc") reader.error(protocol.path, word, want, null);
  const api = reader.requiredText(name, 'the name of an API, as "state"');
  const of = reader.requiredText(version, 'a version, as "v1"');
  const versions = API_VERSIONS[api?.toLowerCase() ?? ""];
  const known = [...Object.keys(API_VERSIONS), ...FOREIGN_APIS];
  if (api !== null && !known.includes(api.toLowerCase()))
    warnUnmatched(reader, name.path, { got: api, want: "the name of an API of Pannier or Dapr", known });
  else if (of !== null && versions !== undefined && !versions.includes(of.toLowerCase()))
    warnUnmatched(reader, version.path, { got: of, want: alternatives(versions), known: versions });
  return {
    name: api?.toLowerCase() ?? "",
    version: of?.toLowerCase() ?? "",
    protocol: word === "grpc" ? "grpc" : "http",
  };
}

/** An error would take away the whole Configuration because of an API that Dapr has and this table does not know yet. */
function warnUnmatched(
  reader: MemberReader,
  field: string,
  { got, want, known }: { readonly got: string; readonly want: string; readonly known: readonly string[] },
): void {
  const near = nearest(got, known);
  const hint = `the rule matches nothing${near === null ? "" : `; did you mean ${near}?`}`;
  reader.faults.push({ severity: "warning", field, got, want, hint });
}

/** `a, b or c` */
function alternatives(words: readonly string[]): string {
  return [words.slice(0, -1).join(", "), words.at(-1)].join(" or ");
}
