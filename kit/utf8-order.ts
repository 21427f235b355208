// The order of texts by their bytes in UTF-8, which is what a database compares. Without encoding them: it is the order
// of code points, and differs from JavaScript's own only where a surrogate meets U+E000 to U+FFFF.

const SURROGATES = 0xd800;
const AFTER_SURROGATES = 0xe000;
const CODE_POINT_MAX = 0x10ffff;

/** Below zero when `a` comes first, above when `b` does, zero when they are equal. Both must be well-formed. */
export function compareUtf8(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i++) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

/** Surrogates stand for the characters beyond U+FFFF, so they come after all others. */
function rank(unit: number): number {
  if (unit < SURROGATES) return unit;
  return unit < AFTER_SURROGATES ? unit + CODE_POINT_MAX : unit;
}

/**
 * The first text in this order that no longer begins with `beginning`: what begins with it is all that is at least
 * `beginning` and before this. Null when nothing comes after, as with "".
 */
export function endOfBeginning(beginning: string): string | null {
  const points = [...beginning];
  for (;;) {
    const last = points.pop()?.codePointAt(0);
    if (last === undefined) return null;
    if (last === CODE_POINT_MAX) continue;
    const next = last + 1 === SURROGATES ? AFTER_SURROGATES : last + 1;
    return points.join("") + String.fromCodePoint(next);
  }
}
