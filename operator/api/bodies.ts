// Bodies of requests: how many are read at a time, one of each sender, and for how long. Knows not what is in them.
import express, { type NextFunction, type Request, type Response } from "express";
import { type Clock, never } from "#kit/clock.ts";
import { Slots } from "../kube/slots.ts";
import { Refused, refuse } from "./refusal.ts";

/** Reading a body ends after so long, in milliseconds: one that does not come keeps nobody else's out. */
export const BODY_WITHIN_MS = 5_000;
/** What a sender is told to wait while too many are read, in seconds. */
const BUSY_SEC = 5;

export interface BodiesOptions {
  /** Read at a time: so many times the largest is held in memory. */
  readonly most: number;
  readonly waitingMax: number;
  /** Of one, in bytes. */
  readonly bytesMax: number;
  readonly clock: Clock;
}

export class Bodies {
  readonly #options: BodiesOptions;
  readonly #slots: Slots;
  readonly #read: ReturnType<typeof express.text>;
  /** Who waits or sends: a second one of a sender would take the place of somebody else's. */
  readonly #senders = new Set<string>();

  constructor(options: BodiesOptions) {
    this.#options = options;
    this.#slots = new Slots(options);
    // Packed bodies are refused: what they unpack to has no limit.
    this.#read = express.text({ type: "application/json", limit: options.bytesMax, inflate: false });
  }

  /** Puts the body's text into `request.body`, when it is the sender's turn. */
  async take(sender: string, request: Request, response: Response, next: NextFunction): Promise<void> {
    if (!request.is("application/json")) throw new Refused(refuse(415, "want a body of Content-Type application/json"));
    if (this.#senders.has(sender) || this.#slots.waiting >= this.#options.waitingMax) {
      throw new Refused(refuse(429, "too many reports are waiting to be read, one of a pod at most", BUSY_SEC));
    }
    this.#senders.add(sender);
    const leave = await this.#slots.take(never);
    const late = this.#options.clock.after(BODY_WITHIN_MS, () => request.destroy());
    const end = (): void => {
      late.cancel();
      leave();
      this.#senders.delete(sender);
    };
    response.once("close", end);
    if (response.destroyed) end();
    else this.#read(request, response, next);
  }
}
