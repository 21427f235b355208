// What a row comes to that cannot be read: it fails alone, and a walk passes over it. Knows no layout.
import { StoreError } from "../store.ts";

/** What `read` gives, or the StoreError that it throws. */
export function orError<T>(read: () => T): T | StoreError {
  try {
    return read();
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
}

/** What `read` gives; null where it finds the row in another form than the layout's. */
export function orNull<T>(read: () => T): T | null {
  const result = orError(read);
  if (!(result instanceof StoreError)) return result;
  if (result.code === "corrupt") return null;
  throw result;
}
