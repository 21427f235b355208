// The parser's events as JSON values with the place of each node: tags, anchors, merge keys, keys given twice.
// Knows no kind of resource; reads as go-yaml v2 does where the values are concerned, and is stricter where it loses one.
import { EVENT_ID, type Event, getScalarValue, SCALAR_STYLE, type ScalarEvent } from "js-yaml";
import type { Fault } from "#kit/fault.ts";
import { valueText } from "./json-text.ts";
import { readPlain, type ScalarValue } from "./scalar.ts";

/** Most nodes of a document, those counted again that an alias repeats: aliases of aliases grow without bound. */
export const NODES_MAX = 20_000;

/** Most bytes of a file's scalars and keys, those counted again that an alias repeats. */
export const EXPANDED_BYTES_MAX: number = 1024 * 1024;
/** Longest path of a node in characters; it is written down for each node under it. */
export const PATH_LENGTH_MAX = 1024;

/** What is left of {@link EXPANDED_BYTES_MAX}, over all documents of a file. */
export interface Budget {
  bytesLeft: number;
}

/** A plain scalar whose text a reader changes. */
export interface Respelled {
  readonly path: string;
  /** As it stands in the file. */
  readonly written: string;
  /** As it is read. */
  readonly read: string;
  /** False: Dapr's reader keeps it, but those that hold numbers as doubles do not. */
  readonly here: boolean;
}

export interface Composed {
  readonly value: unknown;
  /** Path to offset in the text; the document itself has the path "". */
  readonly offsets: ReadonlyMap<string, number>;
  readonly faults: readonly { readonly fault: Fault; readonly offset: number }[];
  readonly respelled: readonly Respelled[];
}

/** What makes a document unreadable. The message repeats nothing of the text. */
export class ManifestMistake extends Error {
  override readonly name = "ManifestMistake";
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

/**
 * The documents of `events`, without those that hold nothing; what they take is taken from the budget.
 * Throws {@link ManifestMistake}.
 */
export function compose(source: string, events: readonly Event[], budget: Budget): Composed[] {
  const documents: Composed[] = [];
  let next = 0;
  while (next < events.length) {
    const composer = new Composer({ source, events, bytesMax: budget.bytesLeft }, next + 1);
    const value = composer.node("");
    budget.bytesLeft -= composer.bytes;
    next = composer.next + 1;
    if (value !== null) documents.push({ value, ...composer.found() });
  }
  return documents;
}

interface Anchor {
  readonly value: unknown;
  readonly nodes: number;
  readonly bytes: number;
}

interface Source {
  readonly source: string;
  readonly events: readonly Event[];
  readonly bytesMax: number;
}

class Composer {
  next: number;
  bytes = 0;
  readonly #source: string;
  readonly #events: readonly Event[];
  readonly #bytesMax: number;
  readonly #offsets = new Map<string, number>();
  readonly #anchors = new Map<string, Anchor>();
  readonly #faults: { fault: Fault; offset: number }[] = [];
  readonly #respelled: Respelled[] = [];
  #nodes = 0;

  constructor({ source, events, bytesMax }: Source, first: number) {
    this.#source = source;
    this.#events = events;
    this.#bytesMax = bytesMax;
    this.next = first;
  }

  found(): Omit<Composed, "value"> {
    return { offsets: this.#offsets, faults: this.#faults, respelled: this.#respelled };
  }

  /** Takes one node with everything under it. */
  node(path: string): unknown {
    const event = this.#take();
    const offset = startOf(event);
    if (offset >= 0) this.#offsets.set(path, offset);
    const before = { nodes: this.#nodes, bytes: this.bytes };
    this.#count(1, offset);
    const value = this.#value(event, path);
    if ("anchorStart" in event && event.type !== EVENT_ID.ALIAS && event.anchorStart >= 0) {
      const name = this.#source.slice(event.anchorStart, event.anchorEnd);
      this.#anchors.set(name, { value, nodes: this.#nodes - before.nodes, bytes: this.bytes - before.bytes });
    }
    return value;
  }

  #value(event: Event, path: string): unknown {
    switch (event.type) {
      case EVENT_ID.SCALAR:
        return this.#scalar(event, path);
      case EVENT_ID.SEQUENCE:
        return this.#sequence(path);
      case EVENT_ID.MAPPING:
        return this.#mapping(path);
      case EVENT_ID.ALIAS:
        return this.#alias(event.anchorStart, event.anchorEnd);
      default:
        return null;
    }
  }

  #sequence(path: string): unknown[] {
    const items: unknown[] = [];
    while (!this.#closes()) items.push(this.node(`${path}[${items.length}]`));
    return items;
  }

  #mapping(path: string): Record<string, unknown> {
    const members = new Map<string, unknown>();
    const merged: [string, unknown][] = [];
    while (!this.#closes()) {
      const offset = startOf(this.#peek());
      const key = this.#key();
      if (key === null) {
        merged.push(...this.#mergedMembers(path, offset));
        continue;
      }
      const memberPath = path === "" ? key : `${path}.${key}`;
      if (memberPath.length > PATH_LENGTH_MAX)
        throw new ManifestMistake(`names that come to at most ${PATH_LENGTH_MAX} characters with those above`, offset);
      if (members.has(key)) this.#faults.push({ fault: givenTwice(memberPath, key), offset });
      this.#offsets.set(memberPath, offset);
      const value = this.node(memberPath);
      // The line of a member is that of its name, also when its value begins on a later one.
      this.#offsets.set(memberPath, offset);
      members.set(key, value);
    }
    // What the mapping says itself comes before what it merges, and the first of several merged ones wins.
    for (const [key, value] of merged) if (!members.has(key)) members.set(key, value);
    return Object.fromEntries(members);
  }

  /** A member's name, or null for the merge key. */
  #key(): string | null {
    const event = this.#take();
    const offset = startOf(event);
    if (event.type !== EVENT_ID.SCALAR) throw new ManifestMistake("a key must be a single word or text", offset);
    const text = this.#text(event);
    if (event.style !== SCALAR_STYLE.PLAIN || event.tagStart >= 0) return text;
    const plain = readPlain(text);
    if (plain.merge) return null;
    if (plain.value === null) throw new ManifestMistake("a key must not be null", offset);
    return valueText(plain.value);
  }

  #mergedMembers(path: string, offset: number): [string, unknown][] {
    const value = this.node(`${path}.<<`);
    const sources = Array.isArray(value) ? value : [value];
    return sources.flatMap((source: unknown) => {
      if (typeof source === "object" && source !== null && !Array.isArray(source)) return Object.entries(source);
      throw new ManifestMistake("the merge key << needs a mapping or a list of mappings", offset);
    });
  }

  #alias(start: number, end: number): unknown {
    const anchor = this.#anchors.get(this.#source.slice(start, end));
    // Not named: an unquoted password that begins with * looks like an alias.
    if (anchor === undefined) throw new ManifestMistake("an alias (*…) without its anchor (&…); quote the text", start);
    this.#count(anchor.nodes, start);
    this.#countBytes(anchor.bytes, start);
    return anchor.value;
  }

  #scalar(event: ScalarEvent, path: string): ScalarValue {
    const text = this.#text(event);
    const tag = event.tagStart < 0 ? "" : this.#source.slice(event.tagStart, event.tagEnd);
    if (tag === "!!binary") return Buffer.from(text, "base64").toString("utf8");
    if (tag !== "" ? !RESOLVED_TAGS.has(tag) : event.style !== SCALAR_STYLE.PLAIN) return text;
    const plain = readPlain(text);
    const value = plain.merge ? text : plain.value;
    if (typeof value === "number" && !Number.isFinite(value)) {
      this.#faults.push({ fault: noJson(path, text), offset: startOf(event) });
      return text;
    }
    const read = valueText(value);
    if (read !== text) this.#respelled.push({ path, written: text, read, here: true });
    else if (typeof value === "bigint")
      this.#respelled.push({ path, written: text, read: BigInt(Number(value)).toString(), here: false });
    return value;
  }

  #count(nodes: number, offset: number): void {
    this.#nodes += nodes;
    if (this.#nodes > NODES_MAX)
      throw new ManifestMistake(`at most ${NODES_MAX} nodes in a document, repeated ones counted`, offset);
  }

  #countBytes(bytes: number, offset: number): void {
    this.bytes += bytes;
    if (this.bytes > this.#bytesMax)
      throw new ManifestMistake(`at most ${EXPANDED_BYTES_MAX} bytes of text in a file, repeated ones counted`, offset);
  }

  #text(event: ScalarEvent): string {
    const text = getScalarValue(this.#source, event);
    this.#countBytes(Buffer.byteLength(text), startOf(event));
    return text;
  }

  #peek(): Event {
    const event = this.#events[this.next];
    if (event === undefined) throw new ManifestMistake("the document ends too early", this.#source.length);
    return event;
  }

  #take(): Event {
    const event = this.#peek();
    this.next++;
    return event;
  }

  #closes(): boolean {
    if (this.#peek().type !== EVENT_ID.POP) return false;
    this.next++;
    return true;
  }
}

const RESOLVED_TAGS = new Set(["!!int", "!!float", "!!bool", "!!null"]);

/** Offset of a node in the text; -1 for one that is not written (`key:` with nothing after it). */
function startOf(event: Event): number {
  switch (event.type) {
    case EVENT_ID.SCALAR:
      return event.valueStart;
    case EVENT_ID.SEQUENCE:
    case EVENT_ID.MAPPING:
      return event.start;
    case EVENT_ID.ALIAS:
      return event.anchorStart;
    default:
      return -1;
  }
}

function givenTwice(path: string, key: string): Fault {
  const hint = "Dapr's reader would keep the last one without a word; remove one";
  return { severity: "error", field: path, got: null, want: `the key ${JSON.stringify(key)} once`, hint };
}

function noJson(path: string, text: string): Fault {
  return {
    severity: "error",
    field: path,
    got: text,
    want: "a value that JSON can hold",
    hint: "quote it if it is text",
  };
}
