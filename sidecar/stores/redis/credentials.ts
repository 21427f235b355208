// What a link signs in with: user and password of the settings, or a token that changes while links stand
// (renewed-token.ts). Knows no command, and of a server its name.

export interface SignIn {
  /** Empty: AUTH names no user, and the server takes the default one. */
  readonly username: string;
  readonly password: string;
}

export interface Credentials {
  /** Good now, as far as it is known of this server. Rejects with a RedisError, also when `signal` aborts first. */
  current(server: string, signal: AbortSignal): Promise<SignIn>;
  /**
   * The server has taken `used`. Has `signInAgain` called with what comes after it, also with what has come by now, until
   * the function that it gives is called.
   */
  follow(server: string, used: SignIn, signInAgain: (next: SignIn) => Promise<void>): () => void;
  /** The server has refused it. Gives what to say of it in place of "the user or the password", or null. */
  refused(server: string, signIn: SignIn): string | null;
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
