import { parseArgs } from "node:util";
import { checkRates } from "./rates.ts";
import { startStandIn } from "./stand-in.ts";

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    "control-port": { type: "string", default: "0" },
    seed: { type: "string", default: "1" },
    rates: { type: "string", default: "{}" },
    "until-stdin-ends": { type: "boolean", default: false },
  },
});

try {
  const { url, controlUrl } = await startStandIn({
    port: Number(values.port),
    controlPort: Number(values["control-port"]),
    seed: values.seed,
    rates: checkRates(JSON.parse(values.rates)),
  });
  // One line of JSON, for whoever started it.
  process.stdout.write(`${JSON.stringify({ url, controlUrl })}\n`);
} catch (error) {
  process.stderr.write(`stand-in: ${error instanceof Error ? error.message : error}\n`);
  process.exit(1);
}
// Stdin ends when whoever started it has died, however it died: nobody will read the ledger any more.
if (values["until-stdin-ends"]) process.stdin.on("end", () => process.exit(0)).resume();
