// Reads the members of JSON objects by their known names and collects what is wrong with each, with its path.
// Member names match without regard to case and scalars become text where text is wanted, as in Dapr's file loader
// (encoding/json under sigs.k8s.io/yaml). Knows no resource.
import type { Fault } from "#kit/fault.ts";
import { nearest } from "#kit/nearest.ts";
import { valueText } from "./json-text.ts";

export interface Member {
  readonly value: unknown;
  readonly path: string;
}

export type Members<N extends string> = { readonly [K in N]: Member };

/** A member whose name the manifest chooses. */
export interface NamedMember extends Member {
  readonly name: string;
}

export interface Bounds {
  readonly min: number;
  readonly max: number;
}

export class MemberReader {
  readonly faults: Fault[] = [];
  readonly #kind: string;

  /** `kind`: what is read, for the warning about a member that it does not have. */
  constructor(kind = "a Component") {
    this.#kind = kind;
  }

  /** One member per known name; `undefined` as value where it is absent. Unknown ones draw a warning. */
  members<N extends string>(object: Member, known: readonly N[]): Members<N> {
    const given = new Map<N, Member>();
    for (const [spelled, value] of Object.entries(this.#objectOf(object) ?? {})) {
      const path = object.path === "" ? spelled : `${object.path}.${spelled}`;
      const name = known.find((each) => each === spelled) ?? known.find((each) => equalFold(each, spelled));
      if (name === undefined)
        this.warn(path, `a member that ${this.#kind} has`, unknownHint(spelled, known, object.path));
      else if (name === spelled || !given.has(name)) given.set(name, { value, path });
      if (name !== undefined && name !== spelled) this.warn(path, `the spelling ${name}`, "Kubernetes minds the case");
    }
    const members = known.map((name) => [name, given.get(name) ?? absent(object.path, name)] as const);
    return Object.fromEntries(members) as unknown as Members<N>;
  }

  /** All members of a mapping whose names are free; none when it is absent. */
  entries(object: Member): readonly NamedMember[] {
    return Object.entries(this.#objectOf(object) ?? {}).map(([name, value]) => {
      return { name, value, path: object.path === "" ? name : `${object.path}.${name}` };
    });
  }

  /** A whole number between two bounds, both included; null when absent or wrong. */
  whole(member: Member, { min, max }: Bounds): number | null {
    const { value, path } = member;
    if (value === undefined || value === null) return null;
    const want = `a whole number from ${min} to ${max}, without quotes`;
    if (typeof value !== "number" && typeof value !== "bigint") this.#wrongType(member, want, scalarOf(value));
    else if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
    else this.error(path, String(value), want, null);
    return null;
  }

  /** Text, or null when absent. A number or a boolean becomes its text. */
  text(member: Member, want: string): string | null {
    const { value } = member;
    if (value === undefined || value === null) return null;
    if (typeof value !== "object") return valueText(value);
    this.#wrongType(member, want, null);
    return null;
  }

  /** Text that must be there and not be empty. */
  requiredText(member: Member, want: string): string | null {
    const before = this.faults.length;
    const text = this.text(member, want);
    if (text !== null && text !== "") return text;
    if (this.faults.length === before) this.error(member.path, null, want, null);
    return null;
  }

  boolean(member: Member): boolean {
    const { value } = member;
    if (typeof value === "boolean") return value;
    if (value !== undefined && value !== null)
      this.#wrongType(member, "true or false, without quotes", scalarOf(value));
    return false;
  }

  /** The items of a list, each with its path; none when absent. */
  list(member: Member, want: string): readonly Member[] {
    const { value, path } = member;
    if (value === undefined || value === null) return [];
    if (Array.isArray(value)) return value.map((item: unknown, index) => ({ value: item, path: `${path}[${index}]` }));
    this.#wrongType(member, want, SECRET_PATH.test(path) ? null : scalarOf(value));
    return [];
  }

  error(field: string, got: string | null, want: string, hint: string | null): void {
    this.faults.push({ severity: "error", field, got, want, hint });
  }

  warn(field: string, want: string, hint: string): void {
    this.faults.push({ severity: "warning", field, got: null, want, hint });
  }

  #objectOf(member: Member): object | null {
    const { value } = member;
    if (value === undefined || value === null) return null;
    if (typeof value === "object" && !Array.isArray(value)) return value;
    // Nothing of it is shown: text where a mapping belongs may hold all that the mapping was to hold.
    this.#wrongType(member, "a mapping of names to values", null);
    return null;
  }

  #wrongType({ value, path }: Member, want: string, shown: string | null): void {
    this.error(path, shown, `${want}, not ${typeOf(value)}`, null);
  }
}

/** Passwords stand under it, and where it is mistaken for something else. */
const SECRET_PATH = /^spec\.metadata/i;

function absent(parent: string, name: string): Member {
  return { value: undefined, path: parent === "" ? name : `${parent}.${name}` };
}

function equalFold(left: string, right: string): boolean {
  return left.toLowerCase() === right.toLowerCase();
}

/** The text of a scalar; null for what has no short text. */
function scalarOf(value: unknown): string | null {
  return typeof value === "object" ? null : valueText(value);
}

/** What stands there, without showing it. */
function typeOf(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  return typeof value === "string" ? "text" : `a ${typeof value === "bigint" ? "number" : typeof value}`;
}

function unknownHint(spelled: string, known: readonly string[], parent: string): string {
  if (parent === "spec" && (equalFold(spelled, "scopes") || equalFold(spelled, "auth")))
    return `it has no effect here: ${spelled.toLowerCase()} stands at the top of the document, beside spec`;
  const near = nearest(spelled, known);
  return near === null ? "it has no effect; remove it" : `it has no effect; did you mean ${near}?`;
}
