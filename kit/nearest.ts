// "Did you mean …": the known word that is fewest edits away.

const FARTHEST_EDITS = 3;
/** Longest word in characters that can be a mistyped one: the work grows with the square of it. */
export const WORD_LENGTH_MAX = 64;

/** The nearest of `known` to `word` without regard to case, or null when none is near enough to be meant. */
export function nearest(word: string, known: Iterable<string>): string | null {
  if (word.length > WORD_LENGTH_MAX) return null;
  const wanted = word.toLowerCase();
  let best: string | null = null;
  let fewest = Math.min(FARTHEST_EDITS, Math.floor(wanted.length / 2)) + 1;
  for (const candidate of known) {
    // Each character more or less is an edit.
    if (Math.abs(candidate.length - word.length) >= fewest) continue;
    const edits = distance(wanted, candidate.toLowerCase());
    if (edits < fewest) {
      fewest = edits;
      best = candidate;
    }
  }
  return best;
}

/** Levenshtein distance, one row at a time. */
function distance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i++) {
    const next = [i];
    for (let j = 1; j <= right.length; j++) {
      const swap = (row[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, swap));
    }
    row = next;
  }
  return row[right.length] ?? 0;
}
