// What was proved on which server, as tables: docs/stores.md has a row for each subject, README.md one for each store.
import type { Subject } from "./subject.ts";
import { STORES, type Tried, type TriedStore } from "./subjects.ts";
import { CHAPTERS, chosen } from "./suite.ts";

/** By type; versions of one stay in their order. */
const SORTED = STORES.toSorted((a, b) => (a.type < b.type ? -1 : Number(a.type > b.type)));

/** A row for each subject, and after the table the cases that an emulator gets wrong. */
export function subjectTable(): string {
  const rows = SORTED.flatMap((store) => store.tried.map((tried) => subjectRow(store, tried)));
  const head = ["type", "against", "transactions", "ETags", "TTL", "list", "values", "cases run", "not run"];
  return `${table(head, rows)}${exceptions()}`;
}

/** A row for each store: what it declares, and what stood behind the suite. */
export function storeTable(): string {
  const rows = SORTED.map((store) => {
    const { type, versions, says = {} } = store;
    const features = { transactions: declared(store, "transactions"), etag: declared(store, "etag") };
    return [
      `[\`${type}\`](${pageOf(type, "docs/stores/")})${versions === "" ? "" : ` ${versions}`}`,
      says.transactions ?? features.transactions,
      says.etags ?? features.etag,
      says.ttl ?? declared(store, "ttl"),
      declared(store, "list"),
      valuesOf(store),
      provedBy(store),
    ];
  });
  return table(["type", "transactions", "ETags", "TTL", "list", "values", "tested against"], rows);
}

function subjectRow({ type, versions }: TriedStore, { subject, against, byAddress = false }: Tried): readonly string[] {
  const { features, traits } = subject.declares;
  const excepted = Object.keys(subject.excepted ?? {}).length;
  return [
    `[\`${type}\`](${pageOf(type, "stores/")})${versions === "" ? "" : ` ${versions}`}`,
    against,
    yes(features.transactions),
    yes(features.etag),
    yes(features.ttl),
    yes(features.list),
    VALUES[traits.values],
    byAddress ? "0" : String(casesOf(subject) - excepted),
    byAddress ? `all ${casesOf(subject)}: by address only` : excepted === 0 ? "" : String(excepted),
  ];
}

function exceptions(): string {
  const parts = SORTED.flatMap(({ type, versions, tried }) =>
    tried.map(({ subject, against }) => {
      const cases = Object.entries(subject.excepted ?? {});
      if (cases.length === 0) return "";
      const store = `\`${type}\`${versions === "" ? "" : ` ${versions}`}`;
      return `\n${store}, not run on ${against}:\n\n${cases.map(([name, why]) => `- ${name}: ${why}\n`).join("")}`;
    }),
  );
  return parts.join("");
}

const VALUES = { "exact-bytes": "exact bytes", "json-equal": "equal as JSON" } as const;

function casesOf(subject: Subject): number {
  return CHAPTERS.reduce((sum, chapter) => sum + chosen(chapter, subject).length, 0);
}

function yes(holds: boolean): string {
  return holds ? "yes" : "no";
}

/** Yes where one of the store's shapes has it: the pages tell which. */
function declared({ tried }: TriedStore, feature: keyof Subject["declares"]["features"]): string {
  return yes(tried.some(({ subject }) => subject.declares.features[feature]));
}

function valuesOf({ tried }: TriedStore): string {
  return [...new Set(tried.map(({ subject }) => VALUES[subject.declares.traits.values]))].join(" or ");
}

function provedBy({ tried, remark }: TriedStore): string {
  const real = tried.filter(({ byAddress }) => byAddress !== true);
  const proved = real.map(({ subject, against }) => {
    const excepted = Object.keys(subject.excepted ?? {}).length;
    return excepted === 0
      ? against
      : `${against}, without ${excepted === 1 ? "a case" : `${excepted} cases`} that it gets wrong`;
  });
  const never = tried.filter((each) => !real.includes(each));
  const unproved = never.map(({ against }) => `${against} by address only, never run here`);
  const nothing = real.length === 0 ? ["**never run against a real server**"] : [];
  return [...nothing, ...proved, ...(remark === undefined ? [] : [remark]), ...unproved].join("; ");
}

function pageOf(type: string, folder: string): string {
  return `${folder}${type.replace("state.", "")}.md`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `|${cells.map((cell) => (cell === "" ? " " : ` ${cell.replaceAll("|", "\\|")} `)).join("|")}|`;
  return `${[line(head), `|${"---|".repeat(head.length)}`, ...rows.map(line)].join("\n")}\n`;
}
