// Which causes of a failed connection are named, from the words of OpenSSL and of Node.
import assert from "node:assert/strict";
import { connectCause, tlsWords } from "#kit/connect-cause.ts";

describe("the cause of a failed connection", () => {
  const known: [words: string, cause: string][] = [
    ["Error: connect ECONNREFUSED 10.0.0.1:2379", "ECONNREFUSED"],
    ["Error: getaddrinfo ENOTFOUND store.internal", "ENOTFOUND"],
    ["Error: certificate has expired", "the server's certificate has expired"],
    ["Error: certificate is not yet valid", "the server's certificate is not valid yet"],
    ["Error: self-signed certificate", "the server's certificate is self-signed"],
    ["Error: self-signed certificate in certificate chain", "the server's certificate is of an unknown authority"],
    ["Error: unable to verify the first certificate", "the server's certificate is of an unknown authority"],
    ["Error: unable to get local issuer certificate", "the server's certificate is of an unknown authority"],
    [
      "Error: 40934DEE:error:0A00010B:SSL routines:tls_validate_record_header:wrong version number:x.c:78:",
      "the server does not speak TLS",
    ],
    [
      "Error: Client network socket disconnected before secure TLS connection was established",
      "the server broke off the TLS handshake, as one does that speaks none",
    ],
    [
      "Error: 40934DEE:error:0A00045C:SSL routines:ssl3_read_bytes:tlsv13 alert certificate required:x.c:918:SSL alert",
      "the server wants a certificate of the client",
    ],
    [
      "Error: 40934DEE:error:0A000418:SSL routines:ssl3_read_bytes:tlsv1 alert unknown ca:x.c:918:SSL alert number 48",
      "the server refused the client's certificate: it does not know its authority",
    ],
    [
      "Error: 40934DEE:error:0A000410:SSL routines:ssl3_read_bytes:ssl/tls alert handshake failure:x.c:918:SSL alert",
      "the server refused the TLS handshake, as it does without a client's certificate",
    ],
    [
      "Error: 40934DEE:error:0A00042E:SSL routines:ssl3_read_bytes:tlsv1 alert protocol version:x.c:918:SSL alert",
      "the server does not speak this version of TLS",
    ],
    [
      "Error: Hostname/IP does not match certificate's altnames: IP: 127.0.0.2 is not in the cert's list: ",
      "the server's certificate is for another name than 127.0.0.2",
    ],
    [
      "Error: Hostname/IP does not match certificate's altnames: IP: ::1 is not in the cert's list: 127.0.0.1, 10.0.0.7",
      "the server's certificate is for another name than ::1: 127.0.0.1, 10.0.0.7",
    ],
    [
      "Error: Hostname/IP does not match certificate's altnames: Host: db.internal. is not in the cert's altnames: DNS:localhost, IP Address:127.0.0.1",
      "the server's certificate is for another name than db.internal: DNS:localhost, IP Address:127.0.0.1",
    ],
    [
      "Error: Hostname/IP does not match certificate's altnames: Host: db. is not cert's CN: other",
      "the server's certificate is for another name than db: other",
    ],
    [
      "Error: Hostname/IP does not match certificate's altnames: Cert does not contain a DNS name",
      "the server's certificate is for another name",
    ],
    ["Protocol error", "what answers there speaks no gRPC: another server, or one that wants TLS"],
    ["Failed to connect", "what is there ends the connection: another server, or one that wants TLS"],
  ];
  for (const [words, cause] of known)
    it(`is "${cause}" for "${words}"`, () => assert.equal(connectCause(`Last error: ${words} (now)`), cause));

  it("has no more of a certificate's names than fit a line, and none that is not seen", () => {
    const cause = (names: string): string | null =>
      connectCause(
        `Hostname/IP does not match certificate's altnames: Host: db. is not in the cert's altnames: ${names}`,
      );
    const told = "the server's certificate is for another name than db";
    const many = Array.from({ length: 50 }, (_, index) => `DNS:host-${index}`).join(", ");
    assert.equal(cause(many), `${told}: ${many.slice(0, 200)}…`);
    assert.equal(cause("DNS:a, DNS:b\u001b[31m\nDNS:c"), `${told}: DNS:a, DNS:b`);
    assert.equal(cause("DNS:a. Resolution note: none"), `${told}: DNS:a`);
  });

  it("is not known for words that are not known", () => {
    assert.equal(connectCause("No connection established. Last error: something else"), null);
    assert.equal(connectCause(""), null);
  });
});

describe("the words of a failed connection", () => {
  it("are the cause where it is known", () => {
    const words = "40934DEE:error:0A00010B:SSL routines:tls_validate_record_header:wrong version number:x.c:78:\n";
    assert.equal(tlsWords(words), "the server does not speak TLS");
  });

  it("are OpenSSL's reason where that is all that is known", () => {
    for (const where of ["tls_get_more_records", ""])
      assert.equal(
        tlsWords(`40934DEE:error:0A000119:SSL routines:${where}:bad record mac:x.c:78:\n`),
        "TLS: bad record mac",
      );
  });

  it("are the system's own otherwise", () => {
    assert.equal(tlsWords("connect ECONNREFUSED 127.0.0.1:6379"), "connect ECONNREFUSED 127.0.0.1:6379");
  });
});
