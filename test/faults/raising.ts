// Clients that raise one number by its ETag, each on what it has read, while a test hurts the store: in the end it is as
// large as there were acknowledged raises, and those of which nobody knows.
import assert from "node:assert/strict";
import { ask, STORE } from "#test/wire/client.ts";
import type { WireSidecar } from "#test/wire/sidecar.ts";
import { Load } from "./load.ts";

export interface Raising {
  readonly wire: WireSidecar;
  readonly callers: number;
  readonly strongReads?: boolean;
}

const KEY = "count";

/** Raises while `hurt` runs, and checks then what is there. Gives what the callers were told. */
export async function whileRaising(raising: Raising, hurt: (raises: Raises) => Promise<void>): Promise<Raises> {
  assert.equal((await ask(raising.wire, "POST", STORE, [{ key: KEY, value: 0 }])).status, 204);
  const raises = new Raises(raising);
  try {
    await hurt(raises);
  } finally {
    await raises.stop();
  }
  await raises.check();
  return raises;
}

export class Raises {
  acknowledged = 0;
  /** Answered that they may have happened. */
  doubtful = 0;
  conflicts = 0;
  readonly #raising: Raising;
  readonly #load: Load;

  constructor(raising: Raising) {
    this.#raising = raising;
    this.#load = new Load(raising.callers, () => this.#raise());
  }

  /** Resolves when so many more were acknowledged. */
  goOn(times: number): Promise<void> {
    const before = this.acknowledged;
    return this.#load.until(`the number is raised ${times} times more`, () => this.acknowledged >= before + times);
  }

  stop(): Promise<void> {
    return this.#load.stop();
  }

  async check(): Promise<void> {
    const { status, text } = await this.#read();
    const [least, most] = [this.acknowledged, this.acknowledged + this.doubtful];
    assert.equal(status, 200, text);
    assert.ok(Number(text) >= least && Number(text) <= most, `${text} is there, want ${least} to ${most}`);
  }

  async #raise(): Promise<boolean> {
    const { status, text, headers } = await this.#read();
    if (status !== 200) return false;
    const item = { key: KEY, value: Number(text) + 1, etag: headers.etag };
    const answer = await ask(this.#raising.wire, "POST", STORE, [item]);
    assert.ok([204, 409, 500].includes(answer.status), `status ${answer.status}: ${answer.text}`);
    if (answer.status === 204) this.acknowledged++;
    if (answer.status === 409) this.conflicts++;
    if (answer.status === 500 && answer.text.includes("may have happened")) this.doubtful++;
    return answer.status !== 500;
  }

  #read(): ReturnType<typeof ask> {
    const query = this.#raising.strongReads === true ? "?consistency=strong" : "";
    return ask(this.#raising.wire, "GET", `${STORE}/${KEY}${query}`);
  }
}
