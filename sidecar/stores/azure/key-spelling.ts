// How keys are spelled where Azure does not take every character: "﹪" and two hex digits in place of such a one, as
// "a﹪5Cb" for "a\b". Azure itself refuses these characters or takes them for others, so no row of Dapr's has them, and two
// keys never meet in one row. A "﹪" of the key's own is doubled.
import { StoreError } from "../store.ts";

/** U+FE6A, which has no meaning to Azure, nor to anybody's keys. */
const MARK = "﹪";
const MARK_CODE = 0xfe6a;
const HEX_DIGITS = 2;

/** Whether a service does not take a character of a code up to 0xff before another one; -1 stands for the key's end. */
export type Unfit = (code: number, next: number) => boolean;

export function spell(text: string, unfit: Unfit): string {
  let spelled = "";
  let done = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code !== MARK_CODE && !unfit(code, at + 1 < text.length ? text.charCodeAt(at + 1) : -1)) continue;
    spelled += text.slice(done, at) + (code === MARK_CODE ? MARK + MARK : markedCode(code));
    done = at + 1;
  }
  return done === 0 ? text : spelled + text.slice(done);
}

/** What stands for a character of a code up to 0xff. */
export function markedCode(code: number): string {
  return MARK + code.toString(16).toUpperCase().padStart(HEX_DIGITS, "0");
}

const SPELLED = new RegExp(`${MARK}(${MARK}|[\\dA-F]{${HEX_DIGITS}})`, "g");

/** The key of a spelling. What is nobody's spelling gives a key with another spelling: whoever reads compares. */
export function unspell(spelled: string): string {
  if (!spelled.includes(MARK)) return spelled;
  return spelled.replace(SPELLED, (_all, code: string) =>
    code === MARK ? MARK : String.fromCharCode(Number.parseInt(code, 16)),
  );
}

/** Throws a StoreError of code `refused` for what no address can hold; for the beginning of a key too. */
export function mustBeText(text: string): void {
  if (!text.isWellFormed())
    throw new StoreError("refused", "the key holds half a surrogate pair, which no name in Azure can hold");
}

const SPACE = 0x20;
const DELETE = 0x7f;
const LAST_CONTROL = 0x9f;

export function isControl(code: number): boolean {
  return code < SPACE || (code >= DELETE && code <= LAST_CONTROL);
}
