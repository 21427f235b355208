// The subjects of state.mysql: a MariaDB of our own, which can be killed, started again and stopped in the middle, and a
// MySQL 8 by its address, which is left in peace.
import { driver } from "#sidecar/stores/mysql/mysql.ts";
import { addressedMysql, mysqlMissing, startMysql } from "#test/servers/mysql.ts";
import { type Declaration, lentServer, ownServer, type Subject } from "./subject.ts";
import { mysqlTold } from "./told.ts";

/** By the max_allowed_packet of the server: three quarters, less what else is in a statement. */
function declares(packetBytesMax: number): Declaration {
  return {
    features: { etag: true, transactions: true, ttl: true, list: true },
    limits: {
      valueBytesMax: ((packetBytesMax - 64 * 1024) / 4) * 3,
      keyBytesMax: 255,
      operationsMax: null,
      ttlSecMin: 1,
    },
    traits: {
      values: "json-equal",
      foreignEtag: "mismatch",
      etagMayBeQuoted: false,
      firstWriteDelete: "ignored",
      ttlStepMs: 1000,
      durable: true,
      listOrder: "key",
      queryStrings: "typed",
    },
  };
}

const MIB = 1024 * 1024;
/** The largest value then fits into a request to a sidecar, so that the limit is tried over both protocols too. */
const SMALL_PACKET_BYTES = 2 * MIB;
/** The last second of a TIMESTAMP, in which the layout keeps expiry. */
const EXPIRES_MS_MAX = (2 ** 31 - 1) * 1000;

export const mariadb: Subject = {
  name: "state.mysql, MariaDB",
  driver,
  declares: declares(SMALL_PACKET_BYTES),
  expiresAtMsMax: EXPIRES_MS_MAX,
  server: "pause",
  skip: mysqlMissing(),
  async start() {
    const server = await startMysql({ args: [`--max-allowed-packet=${SMALL_PACKET_BYTES}`] });
    const metadata = { connectionString: server.dsn(), timeoutInSeconds: "5" };
    return ownServer(server, metadata, () => mysqlTold(server));
  },
};

const addressed = addressedMysql();

export const mysql: Subject = {
  name: "state.mysql, MySQL 8",
  driver,
  declares: declares(64 * MIB),
  expiresAtMsMax: EXPIRES_MS_MAX,
  server: "none",
  skip: "missing" in addressed ? addressed.missing : null,
  async start() {
    const connectionString = "dsn" in addressed ? addressed.dsn : "";
    const schemaName = `pannier_conformance_${Date.now()}`;
    return lentServer({ connectionString, schemaName });
  },
};
