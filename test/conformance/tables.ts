// What was proved on which server, as tables: docs/stores.md has a row for each subject, README.md one for each store. All
// that they tell of a run is recorded (record.ts), and the words around it stand in subjects.ts; no server is asked here.
import type { Records, SubjectRecord } from "./record.ts";
import { STORES, type Tried, type TriedStore } from "./subjects.ts";

/** By type; versions of one stay in their order. */
const SORTED = STORES.toSorted((a, b) => (a.type < b.type ? -1 : Number(a.type > b.type)));

/** A row for each subject, and after the table what did not run, with the reasons. */
export function subjectTable(records: Records): string {
  const rows = SORTED.flatMap((store) =>
    store.tried.map((tried) => subjectRow(store, tried, recordOf(records, tried))),
  );
  const head = ["type", "against", "transactions", "ETags", "TTL", "list", "values", "cases passed", "not run"];
  return `${table(head, rows)}${reasons(records)}`;
}

/** A row for each store: what it declares, and what stood behind the suite. */
export function storeTable(records: Records): string {
  const rows = SORTED.map((store) => {
    const { versions, says = {} } = store;
    const tried = store.tried.map((each) => recordOf(records, each));
    // Yes where one of the store's shapes has it: the pages tell which.
    const declared = (feature: keyof SubjectRecord["features"]): string =>
      yes(tried.some(({ features }) => features[feature]));
    return [
      `[\`${store.type}\`](${pageOf(store.type, "docs/stores/")})${versions === "" ? "" : ` ${versions}`}`,
      says.transactions ?? declared("transactions"),
      says.etags ?? declared("etag"),
      says.ttl ?? declared("ttl"),
      declared("list"),
      [...new Set(tried.map(({ values }) => VALUES[values]))].join(" or "),
      provedBy(store, records),
    ];
  });
  return table(["type", "transactions", "ETags", "TTL", "list", "values", "tested against"], rows);
}

function recordOf(records: Records, { subject }: Tried): SubjectRecord {
  const found = records[subject.name];
  if (found === undefined) throw new Error(`${subject.name} has no record: run \`npm run record\``);
  return found;
}

function subjectRow({ type, versions }: TriedStore, tried: Tried, record: SubjectRecord): readonly string[] {
  const { features, values, cases, passed, skipped } = record;
  const excepted = exceptedOf(record);
  return [
    `[\`${type}\`](${pageOf(type, "stores/")})${versions === "" ? "" : ` ${versions}`}`,
    against(tried, record),
    yes(features.transactions),
    yes(features.etag),
    yes(features.ttl),
    yes(features.list),
    VALUES[values],
    String(passed),
    skipped !== null ? `all ${cases}` : excepted === 0 ? "" : String(excepted),
  ];
}

function reasons(records: Records): string {
  const parts = SORTED.flatMap(({ type, versions, tried }) =>
    tried.map((each) => {
      const record = recordOf(records, each);
      const { excepted, skipped } = record;
      const cases = Object.entries(excepted).map(([name, why]) => `- ${name}: ${why}\n`);
      const list = cases.length === 0 ? "" : `\n${cases.join("")}`;
      const title = `\n\`${type}\`${versions === "" ? "" : ` ${versions}`}, not run on ${against(each, record)}:`;
      if (skipped === null) return list === "" ? "" : `${title}\n${list}`;
      return `${title} ${skipped}${list === "" ? "" : "; on one, these would be left out"}\n${list}`;
    }),
  );
  return parts.join("");
}

const VALUES = { "exact-bytes": "exact bytes", "json-equal": "equal as JSON" } as const;

function provedBy({ tried, remark }: TriedStore, records: Records): string {
  const ran = tried.filter((each) => recordOf(records, each).skipped === null);
  const proved = ran.map((each) => {
    const record = recordOf(records, each);
    const excepted = exceptedOf(record);
    const name = against(each, record);
    return excepted === 0
      ? name
      : `${name}, without ${excepted === 1 ? "a case" : `${excepted} cases`} that it gets wrong`;
  });
  const never = tried.filter((each) => !ran.includes(each));
  const unproved = never.map((each) => `not run on ${against(each, recordOf(records, each))}`);
  const isProved = ran.some(({ standsIn }) => standsIn !== true);
  const nothing = isProved ? [] : ["**never run against a real server**"];
  return [...nothing, ...proved, ...(remark === undefined ? [] : [remark]), ...unproved].join("; ");
}

/** Its servers one behind the other, as a pooler stands before a database: "PostgreSQL 15 behind pgbouncer 1.18". */
function against(tried: Tried, { servers }: SubjectRecord): string {
  const told = Object.values(servers);
  return tried.against.replace("{servers}", told.length === 0 ? "server" : told.join(" behind "));
}

function exceptedOf({ excepted }: SubjectRecord): number {
  return Object.keys(excepted).length;
}

function yes(holds: boolean): string {
  return holds ? "yes" : "no";
}

function pageOf(type: string, folder: string): string {
  return `${folder}${type.replace("state.", "")}.md`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `|${cells.map((cell) => (cell === "" ? " " : ` ${cell.replaceAll("|", "\\|")} `)).join("|")}|`;
  return `${[line(head), `|${"---|".repeat(head.length)}`, ...rows.map(line)].join("\n")}\n`;
}
