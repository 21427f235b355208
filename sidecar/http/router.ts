// A tree of path parts. A literal part is tried before a parameter, and a path that fits only with another method does
// not match at all: Dapr has no 405 (dapr-state-api.md 1.2). No regular expression, no allocation but the parameters.
import type { ApiGroup } from "../configuration/api-access.ts";

export interface Route<Handler> {
  /** The handler's name in the API log: "GetState". */
  readonly name: string;
  /** "/v1.0/state/{storeName}/{key}" */
  readonly pattern: string;
  /** What a Configuration calls it in `api.allowed` and `api.denied`; null for what no list can take away. */
  readonly api: ApiGroup | null;
  readonly handler: Handler;
}

export interface Match<Handler> {
  readonly route: Route<Handler>;
  /** The parts that stand for parameters, in the pattern's order, still escaped. */
  readonly parameters: readonly string[];
}

interface Node<Handler> {
  readonly literals: Map<string, Node<Handler>>;
  parameter: Node<Handler> | null;
  readonly byMethod: Map<string, Route<Handler>>;
}

export class Router<Handler> {
  readonly #root: Node<Handler> = newNode();

  /** Adds a route for some methods. A part in braces is a parameter. */
  add(methods: readonly string[], route: Route<Handler>): void {
    let node = this.#root;
    for (const part of route.pattern.slice(1).split("/")) node = child(node, part);
    for (const method of methods) node.byMethod.set(method, route);
  }

  /** The route for a method and the parts of a path, or null. */
  match(method: string, parts: readonly string[]): Match<Handler> | null {
    return descend(this.#root, method, parts, 0, []);
  }
}

function newNode<Handler>(): Node<Handler> {
  return { literals: new Map(), parameter: null, byMethod: new Map() };
}

function child<Handler>(node: Node<Handler>, part: string): Node<Handler> {
  if (part.startsWith("{")) {
    node.parameter ??= newNode();
    return node.parameter;
  }
  const known = node.literals.get(part);
  if (known !== undefined) return known;
  const made: Node<Handler> = newNode();
  node.literals.set(part, made);
  return made;
}

/** `parameters` is the one list of this match; what a dead end has added is taken off again. */
function descend<Handler>(
  node: Node<Handler>,
  method: string,
  parts: readonly string[],
  depth: number,
  parameters: string[],
): Match<Handler> | null {
  const part = parts[depth];
  if (part === undefined) {
    const route = node.byMethod.get(method);
    return route === undefined ? null : { route, parameters };
  }
  const literal = node.literals.get(part);
  const match = literal === undefined ? null : descend(literal, method, parts, depth + 1, parameters);
  if (match !== null || node.parameter === null) return match;
  parameters.push(part);
  const found = descend(node.parameter, method, parts, depth + 1, parameters);
  if (found === null) parameters.pop();
  return found;
}
