// Which ports are free on this machine. Only looks: what it finds can be taken by another a moment later.
import { createServer } from "node:net";
import { RunFailure, systemCode } from "./failure.ts";

export interface PortWish {
  /** The flag, for messages: "dapr-http-port". */
  readonly flag: string;
  readonly port: number;
  /** It was given on the command line, so another one will not do. */
  readonly asked: boolean;
  /** Where it has to be free; empty: on all addresses. */
  readonly addresses: readonly string[];
}

const FREE_PORT_TRIES = 20;

/** The addresses of `wanted` that this machine has: without IPv6 there is no ::1. */
export async function usableAddresses(wanted: readonly string[]): Promise<readonly string[]> {
  const codes = await Promise.all(wanted.map((address) => tryListen(address, 0)));
  return wanted.filter((_, index) => typeof codes[index] === "number");
}

/**
 * The wished port, or a free one where nobody asked for it and it is taken. `others`: ports that are spoken for, each
 * with the flag that has it. Throws RunFailure when an asked-for port cannot be had.
 */
export async function choosePort(wish: PortWish, others: ReadonlyMap<number, string>): Promise<number> {
  if (wish.asked && wish.port === 0) return 0;
  const owner = others.get(wish.port);
  if (wish.asked && owner !== undefined)
    throw new RunFailure(`--${wish.flag}: got ${wish.port}, want another port than --${owner}`);
  const trouble = owner === undefined ? await findTrouble(wish.addresses, wish.port) : "EADDRINUSE";
  if (trouble === null) return wish.port;
  if (wish.asked) throw new RunFailure(refusal(wish, trouble));
  for (let tries = 0; tries < FREE_PORT_TRIES; tries++) {
    const free = await tryListen(wish.addresses[0], 0);
    if (typeof free !== "number")
      throw new RunFailure(`cannot listen on ${wish.addresses[0] ?? "any address"}: ${free}`);
    if (!others.has(free) && (await findTrouble(wish.addresses, free)) === null) return free;
  }
  throw new RunFailure(`--${wish.flag}: no free port found in ${FREE_PORT_TRIES} tries; choose one`);
}

function refusal(wish: PortWish, trouble: string): string {
  const why = trouble === "EADDRINUSE" ? "something else listens there" : trouble;
  return `--${wish.flag}: cannot have port ${wish.port} (${why}); choose another, or leave the flag out to get a free one`;
}

/** Why the port cannot be listened on, as a system error code, or null when it can. */
async function findTrouble(addresses: readonly string[], port: number): Promise<string | null> {
  for (const address of addresses.length === 0 ? [undefined] : addresses) {
    const outcome = await tryListen(address, port);
    if (typeof outcome === "string") return outcome;
  }
  return null;
}

/** Listens and stops at once. Gives the port, or the code of the error. */
function tryListen(address: string | undefined, port: number): Promise<number | string> {
  return new Promise((resolve) => {
    const server = createServer();
    server.on("error", (error) => resolve(systemCode(error)));
    server.listen({ port, ...(address === undefined ? {} : { host: address }) }, () => {
      const bound = server.address();
      server.close(() => resolve(bound !== null && typeof bound === "object" ? bound.port : port));
    });
  });
}
