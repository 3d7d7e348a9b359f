import { pino } from "pino";
import { readConfig } from "../../src/config.ts";
import { start } from "../../src/service.ts";
import { Signals } from "../../src/signals.ts";

// As src/main.ts does it, with steps of its own.
const log = pino({ level: "warn" });
const signals = new Signals(log, { reloads: false });
const service = await start(readConfig(process.env), log, {
  workerFile: new URL("./steps.ts", import.meta.url).href,
  onFatal: () => process.exit(9),
});
signals.serve(service);
const url = ({ port }: { port: number }) => `http://127.0.0.1:${port}`;
pino({}).info({ api: url(service.publicListener), admin: url(service.adminListener) }, "order pipeline is up");
