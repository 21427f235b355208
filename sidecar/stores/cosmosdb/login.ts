// What a request to Cosmos DB proves itself with: a signature by the account's key, or a token of Microsoft Entra ID.
// Knows no connection. The forms are Microsoft's ("Access control on Azure Cosmos DB resources" of its REST reference).
import { createHmac } from "node:crypto";
import type { Tokens } from "../azure/entra-tokens.ts";

/** The part of a request that a signature covers. */
export interface Signed {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly resourceType: "colls" | "docs";
  /** Names of the resource as they are, and not as a URL spells them: "dbs/d/colls/c/docs/id". */
  readonly resourceLink: string;
  /** The text of the header `x-ms-date`. */
  readonly date: string;
}

export interface Login {
  /** The text of the header `authorization`; a promise where somebody has to be asked for it, which rejects with a StoreError. */
  authorization(signed: Signed): string | Promise<string>;
  /** The server has refused this text. True when the next one is another one. */
  refused(authorization: string): boolean;
}

/** `key` is base64, as Azure's portal shows it. */
export function keyLogin(key: string): Login {
  const secret = Buffer.from(key, "base64");
  return {
    authorization: (signed) => authorizationText("master", signatureOf(secret, signed)),
    refused: () => false,
  };
}

export function tokenLogin(tokens: Tokens): Login {
  let last = "";
  return {
    async authorization() {
      last = await tokens.current();
      return authorizationText("aad", last);
    },
    refused(authorization) {
      if (authorization === authorizationText("aad", last)) tokens.forget(last);
      return true;
    },
  };
}

function signatureOf(secret: Buffer, { method, resourceType, resourceLink, date }: Signed): string {
  // The empty line is for a second date header, which is never sent.
  const text = `${method.toLowerCase()}\n${resourceType}\n${resourceLink}\n${date.toLowerCase()}\n\n`;
  return createHmac("sha256", secret).update(text).digest("base64");
}

function authorizationText(type: "master" | "aad", signature: string): string {
  return encodeURIComponent(`type=${type}&ver=1.0&sig=${signature}`);
}
