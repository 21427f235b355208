// Clients that write ever larger numbers through a sidecar while a test hurts its store: in the end each key has what was
// acknowledged last, or what was sent after it, and no transaction is there by half.
import assert from "node:assert/strict";
import { ask, STORE } from "#test/wire/client.ts";
import type { WireSidecar } from "#test/wire/sidecar.ts";
import { Load } from "./load.ts";

export interface Writing {
  readonly wire: WireSidecar;
  /** So many clients, each with keys of its own; 8 when not given. */
  readonly writers?: number;
  /** A save of one key, or a transaction over two. */
  readonly by: "save" | "transaction";
  readonly strongReads?: boolean;
  readonly strongWrites?: boolean;
  /** Whether the store keeps what it has over its server's end; it does when this is not given. */
  readonly keeps?: boolean;
  /** Gets the text of each answer with 500, before that client goes on. */
  readonly refused?: (text: string) => void | Promise<void>;
  /** Runs after each acknowledged write, before that client goes on. */
  readonly acknowledged?: (writer: number, value: number) => Promise<void>;
}

const WRITERS = 8;
const MANY = 6;

/** Writes while `hurt` runs, and checks then what is there. Gives what the writers were told. */
export async function whileWriting(writing: Writing, hurt: (writers: Writers) => Promise<void>): Promise<Writers> {
  const writers = new Writers(writing);
  try {
    await hurt(writers);
  } finally {
    await writers.stop();
  }
  await writers.check();
  return writers;
}

export class Writers {
  /** By writer: the last number that was acknowledged, and the last that was sent. */
  readonly acknowledged: number[];
  readonly sent: number[];
  /** By writer: how often it was refused. */
  readonly refusals: number[];
  /** Those who were refused, and have not seen since what is there. */
  readonly #shaken = new Set<number>();
  readonly #writing: Writing;
  readonly #load: Load;

  constructor(writing: Writing) {
    const { writers = WRITERS } = writing;
    this.#writing = writing;
    this.acknowledged = new Array(writers).fill(0);
    this.sent = new Array(writers).fill(0);
    this.refusals = new Array(writers).fill(0);
    this.#load = new Load(writers, (writer) => this.#write(writer));
  }

  /** Resolves when each writer has had so many more acknowledged. */
  goOn(times: number = MANY): Promise<void> {
    const before = [...this.acknowledged];
    return this.until(`each writer has written ${times} times more`, () =>
      this.acknowledged.every((value, writer) => value >= (before[writer] ?? 0) + times),
    );
  }

  /** Resolves when so many more were refused, whoever sent them. */
  areRefused(times: number): Promise<void> {
    const before = sumOf(this.refusals);
    return this.until(`${times} more writes are refused`, () => sumOf(this.refusals) >= before + times);
  }

  /** Resolves once it holds, while all of them write. */
  until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
    return this.#load.until(what, holds);
  }

  stop(): Promise<void> {
    return this.#load.stop();
  }

  /** Whether what is there is what they were told. */
  async check(): Promise<void> {
    for (const writer of this.acknowledged.keys()) {
      const answers = await Promise.all(this.#keysOf(writer).map((key) => this.#read(key)));
      const texts = answers.map(({ text }) => text);
      assert.equal(new Set(texts).size, 1, `writer ${writer}: half a transaction: ${texts}`);
      for (const { status, text } of answers) {
        assert.equal(status, 200, text);
        this.#mustBeBetween(writer, Number(text));
      }
    }
  }

  #mustBeBetween(writer: number, value: number): void {
    const [acknowledged = 0, sent = 0] = [this.acknowledged[writer], this.sent[writer]];
    const told = `writer ${writer}: ${acknowledged} was acknowledged, ${sent} sent, ${value} is there`;
    assert.ok(value >= acknowledged && value <= sent, told);
  }

  /** Before it writes over what the outage may have lost. What cannot be read yet is looked at the next time. */
  async #look(writer: number): Promise<void> {
    for (const key of this.#keysOf(writer)) {
      const { status, text } = await this.#read(key);
      if (status !== 200 && status !== 204) return;
      this.#mustBeBetween(writer, status === 204 ? 0 : Number(text));
    }
    this.#shaken.delete(writer);
  }

  #keysOf(writer: number): readonly string[] {
    return this.#writing.by === "save" ? [`w${writer}`] : [`left${writer}`, `right${writer}`];
  }

  async #write(writer: number): Promise<boolean> {
    const { wire, by, strongWrites, keeps, refused, acknowledged } = this.#writing;
    if (this.#shaken.has(writer)) await this.#look(writer);
    const value = (this.sent[writer] ?? 0) + 1;
    this.sent[writer] = value;
    const options = strongWrites === true ? { options: { consistency: "strong" } } : {};
    const requests = this.#keysOf(writer).map((key) => ({ key, value, ...options }));
    const { status, text } =
      by === "save"
        ? await ask(wire, "POST", STORE, requests)
        : await ask(wire, "POST", `${STORE}/transaction`, {
            operations: requests.map((request) => ({ operation: "upsert", request })),
          });
    assert.ok(status === 204 || status === 500, `status ${status}: ${text}`);
    if (status === 204) {
      this.acknowledged[writer] = value;
      await acknowledged?.(writer, value);
      return true;
    }
    this.refusals[writer] = (this.refusals[writer] ?? 0) + 1;
    if (keeps !== false) this.#shaken.add(writer);
    await refused?.(text);
    return false;
  }

  #read(key: string): ReturnType<typeof ask> {
    const { wire, strongReads } = this.#writing;
    return ask(wire, "GET", `${STORE}/${key}${strongReads === true ? "?consistency=strong" : ""}`);
  }
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, each) => sum + each, 0);
}
