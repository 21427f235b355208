import http from "node:http";
import { pluggableDriver } from "#sidecar/stores/pluggable/pluggable.ts";
import { openContext } from "#test/conformance/case.ts";
import { emulator } from "#test/conformance/cosmosdb.ts";
import { call, json, removal, write } from "#test/conformance/requests.ts";
import { properties } from "#test/conformance/subject.ts";
import { startDaprDrivers } from "#test/servers/pluggable.ts";

it("x", async function () {
  this.timeout(30000);
  const running = await emulator.start();
  const same = Object.fromEntries(running.properties.map(({ name, value }) => [name, value] as const));
  const port = Number(new URL(same.url as string).port);
  const front = http.createServer((req, res) => {
    const up = http.request(
      { port, host: "127.0.0.1", method: req.method, path: req.url, headers: req.headers },
      (r) => {
        console.log(req.method, req.url, JSON.stringify(req.headers), r.statusCode, JSON.stringify(r.headers));
        const cs: Buffer[] = [];
        r.on("data", (c) => cs.push(c));
        r.on("end", () => {
          let b = Buffer.concat(cs).toString();
          if (req.url === "/") {
            console.log(b);
            b = b.replaceAll(`:${port}/`, `:${(front.address() as any).port}/`);
          }
          const h = { ...r.headers };
          delete h["content-length"];
          delete h["transfer-encoding"];
          res.writeHead(r.statusCode ?? 0, h);
          res.end(b);
        });
      },
    );
    up.on("error", (e) => {
      console.log(req.method, req.url, JSON.stringify(req.headers), "ERR", e);
      req.socket.destroy();
    });
    req.pipe(up);
  });
  await new Promise<void>((r) => front.listen(0, "127.0.0.1", r));
  const drivers = await startDaprDrivers();
  const url = `http://127.0.0.1:${(front.address() as any).port}`;
  const dapr = await pluggableDriver("state.dapr", drivers.folder)
    .decode(properties({ ...same, url, driver: "azure.cosmosdb" } as any), [])
    .open(openContext(AbortSignal.timeout(20000), []));
  await dapr.set(write("a||k", json(1)), call());
  try {
    await dapr.remove(removal("a||k"), call());
  } catch (e) {
    console.log(e);
  }
  try {
    console.log(await dapr.get("a||k", { strong: false, metadata: {} }, { signal: AbortSignal.timeout(5000) }));
  } catch (e) {
    console.log(e);
  }
  await dapr.close();
  await drivers.stop();
  await running.stop();
  front.closeAllConnections();
  front.close();
});
