// Patterns of paths as a Configuration writes them for the metrics (`pathMatching`): those of Go's ServeMux, without a
// method or host. `{name}` is one part, `{name...}` and a slash at the end are all that follows, `{$}` is the end.
// Knows no route.

interface Pattern {
  readonly text: string;
  /** A literal, or null for one part that may be anything. */
  readonly parts: readonly (string | null)[];
  /** More parts may follow. */
  readonly open: boolean;
}

/** Finds the pattern that fits a path best, whose query may stand behind it; null when none fits. */
export function compilePatterns(texts: readonly string[]): (path: string) => string | null {
  const patterns = texts.map(compile);
  return (path) => {
    const query = path.indexOf("?");
    const parts = (query === -1 ? path : path.slice(0, query)).slice(1).split("/");
    let best: Pattern | null = null;
    for (const pattern of patterns) {
      if (fits(pattern, parts) && (best === null || isCloser(pattern, best))) best = pattern;
    }
    return best?.text ?? null;
  };
}

function compile(text: string): Pattern {
  const parts = text.slice(1).split("/");
  const last = parts.at(-1) ?? "";
  const rest = /^\{.*\.\.\.\}$/.test(last);
  const open = last === "" || rest;
  const own = open ? parts.slice(0, -1) : parts;
  return { text, parts: own.map(partOf), open };
}

function partOf(part: string): string | null {
  if (part === "{$}") return "";
  return part.startsWith("{") && part.endsWith("}") ? null : part;
}

function fits({ parts, open }: Pattern, path: readonly string[]): boolean {
  if (open ? path.length <= parts.length : path.length !== parts.length) return false;
  return parts.every((part, index) => (part === null ? path[index] !== "" : part === path[index]));
}

/** The first part in which they differ decides: a literal is closer than a wildcard; then the longer one is. */
function isCloser(left: Pattern, right: Pattern): boolean {
  for (let index = 0; index < Math.min(left.parts.length, right.parts.length); index++) {
    const [one, other] = [left.parts[index], right.parts[index]];
    if ((one === null) !== (other === null)) return other === null;
  }
  return left.parts.length > right.parts.length || (left.parts.length === right.parts.length && !left.open);
}
