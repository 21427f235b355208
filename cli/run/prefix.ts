// The word before a line, which says whose line it is; in colour where somebody looks at it.
import type { Output } from "../host.ts";

const COLOURS = { APP: 36, PANNIER: 33 } as const;

/** `== APP == `: on a terminal in the colour of that program, unless NO_COLOR is set (https://no-color.org). */
export function prefixFor(
  whose: keyof typeof COLOURS,
  output: Output,
  env: { readonly NO_COLOR?: string | undefined },
): string {
  const text = `== ${whose} == `;
  const plain = output.isTTY !== true || (env.NO_COLOR !== undefined && env.NO_COLOR !== "");
  return plain ? text : `\u001b[${COLOURS[whose]}m${text}\u001b[0m`;
}
