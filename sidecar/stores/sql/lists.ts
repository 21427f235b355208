// Lists of keys and of rows, cut as statements take them. Knows no statement.

const PADDED_SIZES = [1, 4, 16, 64, 256, 1000, 2000];

/**
 * The keys in lists of `most` at most and of few different lengths, so that few statements are prepared: the last key of a
 * list repeats.
 */
export function keysPadded(keys: readonly string[], most: number): readonly (readonly string[])[] {
  const lists: (readonly string[])[] = [];
  for (let at = 0; at < keys.length; at += most) {
    const list = keys.slice(at, at + most);
    const size = Math.min(most, PADDED_SIZES.find((each) => each >= list.length) ?? most);
    const last = list.at(-1) ?? "";
    lists.push([...list, ...new Array<string>(size - list.length).fill(last)]);
  }
  return lists;
}

/** Rows that one statement writes, and the bytes of their values: a server takes no statement of any size. */
const PUT_ROWS_MAX = 64;
const PUT_BYTES_MAX = 1024 * 1024;

/** The rows of each statement, in their order; one that is larger by itself goes alone. */
export function rowsByStatement<R extends { readonly bytes: number }>(rows: readonly R[]): readonly (readonly R[])[] {
  const statements: R[][] = [];
  let bytes = 0;
  for (const row of rows) {
    const current = statements.at(-1);
    bytes += row.bytes;
    if (current !== undefined && current.length < PUT_ROWS_MAX && bytes <= PUT_BYTES_MAX) current.push(row);
    else {
      statements.push([row]);
      bytes = row.bytes;
    }
  }
  return statements;
}
