// What the fields mean together, before anything is connected.
import assert from "node:assert/strict";
import { decodeFields } from "#crds/fields.ts";
import { describeFault } from "#kit/fault.ts";
import { v1Fields } from "#sidecar/stores/sqlserver/fields.ts";
import { planServer, type ServerPlan } from "#sidecar/stores/sqlserver/server-plan.ts";
import { cloudOf } from "#sidecar/stores/sqlserver/token.ts";
import { type Fields, prepare, type Version } from "./fixture.ts";

const SERVER = "server=db;user id=u;password=secret-password";

function plan(connectionString: string, more: Fields = {}): ServerPlan {
  const properties = Object.entries({ connectionString, ...more });
  const { settings } = decodeFields(
    v1Fields,
    properties.map(([name, value]) => ({ name, value, secret: false })),
    { others: [], page: "" },
  );
  assert.ok(settings !== null);
  const reading = planServer(settings);
  assert.ok(reading.plan !== null, reading.faults.map(describeFault).join());
  return reading.plan;
}

function faults(fields: Fields, version: Version = "v1"): string {
  return prepare(fields, version)
    .faults.map((fault) => `${fault.severity}: ${describeFault(fault)}`)
    .join("\n");
}

describe("the settings of SQL Server", () => {
  it("find the server by host, port and instance", () => {
    const endpoint = (text: string): unknown => {
      const { host, port, instance } = plan(`${text};user id=u;encrypt=disable`);
      return [host, port, instance];
    };
    assert.deepEqual(endpoint("server=db"), ["db", 1433, null]);
    assert.deepEqual(endpoint("server=db;port=1533"), ["db", 1533, null]);
    assert.deepEqual(endpoint("server=tcp:db.example, 1533"), ["db.example", 1533, null]);
    assert.deepEqual(endpoint("server=db\\express"), ["db", null, "express"]);
    assert.deepEqual(endpoint("server=db\\express;port=1533"), ["db", 1533, null]);
    assert.deepEqual(endpoint("server=."), ["localhost", 1433, null]);
    assert.deepEqual(endpoint("server=[::1];port=1"), ["::1", 1, null]);
  });

  it("encrypt everything unless told otherwise, and check the certificate once encryption is spoken of", () => {
    const encryption = (text: string): unknown => {
      const { encryption: level, trustsAnyone } = plan(`${SERVER}${text}`);
      return [level, trustsAnyone];
    };
    assert.deepEqual(encryption(""), ["tls", true]);
    assert.deepEqual(encryption(";encrypt=false"), ["tls", false]);
    assert.deepEqual(encryption(";encrypt=true"), ["tls", false]);
    assert.deepEqual(encryption(";encrypt=Mandatory;TrustServerCertificate=true"), ["tls", true]);
    assert.deepEqual(encryption(";TrustServerCertificate=false"), ["tls", false]);
    assert.deepEqual(encryption(";encrypt=strict"), ["strict", false]);
    assert.deepEqual(encryption(";encrypt=disable"), ["none", false]);
  });

  it("take the database of the connection string before the field", () => {
    assert.deepEqual([plan(SERVER).database, plan(SERVER).databaseGiven], ["dapr", false]);
    const given = plan(`${SERVER};database=orders`, { databaseName: "other" });
    assert.deepEqual([given.database, given.databaseGiven], ["orders", true]);
  });

  it("bound connecting by the call's own time", () => {
    assert.equal(plan(SERVER, { timeoutInSeconds: "3" }).connectMs, 3000);
    assert.equal(plan(`${SERVER};dial timeout=2`).connectMs, 2000);
    assert.equal(plan(`${SERVER};connection timeout=0`).connectMs, 15_000);
  });

  it("need a server, and a user of its own or Microsoft Entra ID", () => {
    assert.match(faults({ connectionString: "user id=u" }), /error: connectionString: want a server/);
    assert.match(faults({ connectionString: "server=db" }), /error: connectionString: want a user/);
    assert.match(faults({ connectionString: "server=db;user id=CORP\\u;password=p" }), /Windows users cannot sign in/);
    assert.match(faults({ connectionString: "server=db;trusted_connection=yes" }), /Windows users/);
    assert.equal(faults({ connectionString: "server=db", useAzureAD: "true" }), "");
  });

  it("refuse what would be missed, warn of what has no effect, and never show the text", () => {
    const refused = faults({ connectionString: `${SERVER};failoverpartner=other;log=63;port=0` });
    assert.match(refused, /error: .*no parameter failoverpartner; name the listener/);
    assert.match(refused, /warning: .*want no log: it has no effect here; see docs/);
    assert.match(refused, /error: .*a port from 1 to 65535/);
    assert.doesNotMatch(refused, /secret-password|other/);
    const piece = faults({ connectionString: `${SERVER};pie3ce=x` });
    assert.match(piece, /^warning: .*want no parameter of this name: it has no effect here/);
    assert.doesNotMatch(piece, /pie3ce/);
    assert.match(faults({ connectionString: `${SERVER};ApplicationIntent=ReadOnly` }), /writes need the primary/);
    assert.match(faults({ connectionString: `${SERVER};encrypt=perhaps` }), /encrypt=true, false, strict or disable/);
  });

  it("name a wrong port, wherever it stands", () => {
    for (const text of [
      "sqlserver://u:secret-password@db:99999",
      "sqlserver://db:99999/x?user id=u",
      "server=db,99999",
    ])
      assert.match(faults({ connectionString: text }), /^error: .*want a port from 1 to 65535/m, text);
    const colon = faults({ connectionString: "server=db:1433;user id=u" });
    assert.match(colon, /want a port from 1 to 65535 behind a comma; as in Server=host,1433/);
    assert.equal(faults({ connectionString: "server=[::1];user id=u" }), "");
    assert.match(faults({ connectionString: "sqlserver://u:p%@db:1433" }), /want Server=host;Port=1433/);
  });

  it("want what belongs together for Microsoft Entra ID", () => {
    const azure = { connectionString: "server=db", useAzureAD: "true" };
    assert.match(faults({ ...azure, azureClientSecret: "s" }), /azureTenantId and azureClientId beside a secret/);
    const both = { ...azure, tenantId: "t", clientId: "c", azureClientSecret: "s", azureCertificateFile: "f" };
    assert.match(faults(both), /one of azureClientSecret, azureCertificate and azureCertificateFile/);
    const open = { ...azure, connectionString: "server=db;encrypt=disable" };
    assert.match(faults(open), /connectionString.*encryption beside useAzureAD/);
    assert.match(faults({ ...azure, azureEnvironment: "Mars" }), /AzurePublicCloud, AzureChinaCloud/);
    assert.equal(cloudOf("AzureUSGovernmentCloud").scope, "https://database.usgovcloudapi.net/.default");
    assert.equal(cloudOf("AzurePublicCloud").scope, "https://database.windows.net/.default");
  });

  it("want two tables, names of letters, and a length that a column can have", () => {
    const connectionString = SERVER;
    assert.match(faults({ connectionString, tableName: "T", metadataTableName: "t" }), /another table than tableName/);
    assert.match(faults({ connectionString, schemaName: "a]b" }), /letters, digits and underscores/);
    assert.equal(faults({ connectionString, schemaName: "größen", tableName: "état_2", metadataTableName: "表" }), "");
    assert.match(faults({ connectionString, keyLength: "0" }), /from 1 to 4000/);
    assert.match(faults({ connectionString, keyType: "text" }), /"string" or "uuid" or "integer"/);
  });

  it("read the indexed properties as Dapr does, and take no character into SQL that Dapr does not", () => {
    const connectionString = SERVER;
    const indexed = (text: string): string => faults({ connectionString, indexedProperties: text });
    assert.equal(indexed('[{"Column":"c","PROPERTY":"a.b[0]","type":"nvarchar(50)"}]'), "");
    assert.equal(indexed('[{"column":"größe","property":"maße.größe","type":"int"}]'), "");
    assert.equal(indexed(""), "");
    for (const wrong of ["{", "{}", '[{"column":"c"}]', '[{"column":"c","property":"a\'b","type":"int"}]'])
      assert.match(indexed(wrong), /error: indexedProperties/);
    const twice = '[{"column":"c","property":"a","type":"int"},{"column":"C","property":"b","type":"int"}]';
    assert.match(indexed(twice), /each column once/);
  });

  it("know bulkGetChunkSize in v2 alone, and bound it", () => {
    const fields = { connectionString: SERVER, bulkGetChunkSize: "5000" };
    assert.match(faults(fields, "v1"), /warning: bulkGetChunkSize: .*no effect here; it is of version v2/);
    assert.match(faults(fields, "v2"), /warning: bulkGetChunkSize: got "5000", want 2000 at most/);
    assert.equal(faults({ ...fields, bulkGetChunkSize: "0" }, "v2"), "");
  });
});
