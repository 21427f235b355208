// Finds what the dotted paths of a query lead to, in one pass over a value's bytes: what no path names is passed over
// and never decoded. Knows no filter.
import { isUtf8 } from "node:buffer";
import { JsonFault, JsonScanner } from "#kit/json-scanner.ts";
import { JsonNumber } from "./number.ts";
import { COMPOUND, type Scalar } from "./scalar.ts";

/** A member name in the paths, and the names below it. */
interface Node {
  /** Where this path's find goes; -1 for a name on the way only. */
  slot: number;
  readonly members: Map<string, Node>;
}

/** A set of dotted paths; each has a slot, in the order in which they were added. */
export class PathSet {
  readonly #root: Node = newNode();
  readonly #slots = new Map<string, number>();

  /** The slot of a path. Each part is a member's name; arrays are not entered, and a name with a dot cannot be named. */
  add(path: string): number {
    const known = this.#slots.get(path);
    if (known !== undefined) return known;
    const slot = this.#slots.size;
    this.#slots.set(path, slot);
    let node = this.#root;
    for (const part of path.split(".")) {
      const member = node.members.get(part) ?? newNode();
      node.members.set(part, member);
      node = member;
    }
    node.slot = slot;
    return slot;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** What each slot's path leads to in `value`; null when it is no JSON. */
  read(value: Uint8Array): readonly Scalar[] | null {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.length);
    if (!isUtf8(bytes)) return null;
    const found: Scalar[] = new Array(this.#slots.size).fill(undefined);
    try {
      const scanner = new JsonScanner(bytes);
      readNode(scanner, this.#root, found);
      return scanner.atEnd() ? found : null;
    } catch (error) {
      if (error instanceof JsonFault) return null;
      throw error;
    }
  }
}

function newNode(): Node {
  return { slot: -1, members: new Map() };
}

/** Takes one value. It goes as deep as the paths do, and they are short. */
function readNode(scanner: JsonScanner, node: Node, found: Scalar[]): void {
  const kind = scanner.kind();
  const isEntered = kind === "object" && node.members.size > 0;
  if (node.slot >= 0) found[node.slot] = isEntered ? COMPOUND : readScalar(scanner, kind);
  else if (!isEntered) scanner.span();
  if (!isEntered) return;
  scanner.object((name) => {
    const member = node.members.get(name);
    if (member === undefined) {
      scanner.span();
      return;
    }
    // Of two members with one name the last counts, with nothing left of the first.
    clear(member, found);
    readNode(scanner, member, found);
  });
}

function readScalar(scanner: JsonScanner, kind: ReturnType<JsonScanner["kind"]>): Scalar {
  if (kind === "string") return scanner.string();
  const span = scanner.span();
  if (kind === "number") return new JsonNumber(span.toString("latin1"));
  if (kind === "boolean") return span.length === TRUE_LENGTH;
  return kind === "null" ? null : COMPOUND;
}

const TRUE_LENGTH = "true".length;

function clear(node: Node, found: Scalar[]): void {
  if (node.slot >= 0) found[node.slot] = undefined;
  for (const member of node.members.values()) clear(member, found);
}
