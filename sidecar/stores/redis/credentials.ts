// What a link signs in with: user and password of the settings, or a token that changes while links stand
// (renewed-token.ts). Knows no command and no server.

export interface SignIn {
  /** Empty: AUTH names no user, and the server takes the default one. */
  readonly username: string;
  readonly password: string;
}

export interface Credentials {
  /** Good now. Rejects with a RedisError, also when `signal` aborts first. */
  current(signal: AbortSignal): Promise<SignIn>;
  /**
   * Has `signInAgain` called with what comes after `used`, also with what has come by now, until the function that it
   * gives is called.
   */
  follow(used: SignIn, signInAgain: (next: SignIn) => Promise<void>): () => void;
  /** A server has refused it. Gives what to say of it in place of "the user or the password", or null. */
  refused(signIn: SignIn): string | null;
  /** Ends what is under way; nobody is told of anything any more. May be called again. */
  close(): void;
}

/** The same from the beginning to the end. */
export function fixedCredentials(signIn: SignIn): Credentials {
  return {
    current: () => Promise.resolve(signIn),
    follow: () => () => undefined,
    refused: () => null,
    close: () => undefined,
  };
}
