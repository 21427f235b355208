// JSON text as Go's encoding/json writes it: what Dapr makes of a metadata value that is no string. Knows no manifest.

const ESCAPED: Readonly<Record<string, string>> = {
  "<": "\\u003c",
  ">": "\\u003e",
  "&": "\\u0026",
  "\u2028": "\\u2028",
  "\u2029": "\\u2029",
};

/** Members in the order of their names, no blanks, whole numbers of any size, `<`, `>` and `&` escaped. */
export function jsonText(value: unknown): string {
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return `[${value.map(jsonText).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
    return `{${members.map(([name, member]) => `${quote(name)}:${jsonText(member)}`).join(",")}}`;
  }
  return typeof value === "string" ? quote(value) : (JSON.stringify(value) ?? "null");
}

/** A metadata value as text: a string as it stands, nothing for null, everything else as its JSON text. */
export function valueText(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "string" ? value : jsonText(value);
}

function quote(text: string): string {
  return JSON.stringify(text).replace(/[<>&\u2028\u2029]/g, (character) => ESCAPED[character] ?? character);
}
