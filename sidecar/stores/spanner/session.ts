// The one session that all calls of a store share: a multiplexed one takes any number of transactions at a time, so there
// is no pool to keep. Made when it is first needed, and anew when it is old or the server has forgotten it.
import { type Clock, never } from "#kit/clock.ts";
import { CreateSessionRequest, Session as SessionMessage } from "#proto/gen/clients/google/spanner/v1/spanner.ts";
import type { GoogleClient, How, Method } from "../google/client.ts";
import { isSessionGone } from "./failures.ts";

const CREATE: Method<CreateSessionRequest, SessionMessage> = {
  path: "/google.spanner.v1.Spanner/CreateSession",
  effect: "read",
  request: CreateSessionRequest,
  response: SessionMessage,
};

/** Spanner lets one live for 28 days and wants a new one after 7. */
const AGE_MAX_MS = 7 * 24 * 3_600_000;

interface Made {
  readonly name: Promise<string>;
  readonly atMs: number;
}

export interface SessionOptions {
  readonly client: GoogleClient;
  readonly clock: Clock;
  /** Full name. */
  readonly database: string;
}

export class Session {
  readonly #options: SessionOptions;
  #made: Made | null = null;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** Runs a task in the session, given its name; once more in a new one where the server no longer knew it. */
  async during<T>(how: How, task: (session: string) => Promise<T>): Promise<T> {
    const made = this.#current(how);
    try {
      return await task(await this.#options.client.wait(made.name, how));
    } catch (error) {
      if (!isSessionGone(error)) throw error;
      if (this.#made === made) this.#made = null;
      return task(await this.#options.client.wait(this.#current(how).name, how));
    }
  }

  #current(how: How): Made {
    const { client, clock, database } = this.#options;
    const now = clock.monotonicMs();
    if (this.#made !== null && now - this.#made.atMs < AGE_MAX_MS) return this.#made;
    // Others wait for it too: it does not end with the caller who happened to come first.
    const request = { database, session: { name: "", multiplexed: true } };
    const name = client.ask(CREATE, request, { ...how, signal: never }).then((session) => session.name);
    const made = { name, atMs: now };
    name.catch(() => {
      if (this.#made === made) this.#made = null;
    });
    this.#made = made;
    return made;
  }
}
