import { STEP_TABLE, STEPS, stepSetting } from "../../src/orders/steps.ts";
import { endAfter, readOptions, UsageError, wholeNumber } from "../options.ts";
import { CONTROL_ROUTES } from "./control-app.ts";
import { CALM, checkFaultRates, type FaultRateSettings } from "./fault-rates.ts";
import { startStandIn } from "./stand-in.ts";

const MOST_PORT = 65_535;
const CALM_TEXT = JSON.stringify(CALM)
  .slice(1, -1)
  .replaceAll(/,(?=")/g, ", ")
  .replace('"late"', '\n  "late"');

const USAGE = `providers: stands in for the ${new Intl.ListFormat("en-GB").format(STEPS.map((step) => STEP_TABLE[step].provider))}

usage: npm run providers -- [options]

  --port N            where all of them listen, for ${STEPS.map((step) => stepSetting(step, "URL")).join(", ")} (default: any free port);
                      each listens on a port of its own as well
  --control-port N    where it is controlled (default: any free port)
  --rates JSON        which share of the requests it treats badly, and how (default: {})
  --seed TEXT         the same seed treats the same requests alike (default: 1)
  --until-stdin-ends  end with the process that started it

It prints its URLs as one line of JSON. Rates are those of all requests, and may hold others for a step, for compensations and for a
step's compensations: {"slow":0.3,"vendor":{"hang":1,"compensate":{"hang":0}},"compensate":{"failBefore":0.1}}. They are, with their defaults:

  ${CALM_TEXT}

failAfter acts and answers failStatus all the same; hang never answers; late acts whether or not the client is still there.

The control URL has

  ${CONTROL_ROUTES.replaceAll("\n", "\n  ")}
`;

try {
  const values = readOptions({
    port: { type: "string", default: "0" },
    "control-port": { type: "string", default: "0" },
    seed: { type: "string", default: "1" },
    rates: { type: "string", default: "{}" },
    "until-stdin-ends": { type: "boolean", default: false },
  });
  if (values.help) {
    process.stdout.write(USAGE);
  } else {
    const { url, urls, controlUrl } = await startStandIn({
      port: wholeNumber("port", values.port, MOST_PORT, 0),
      controlPort: wholeNumber("control-port", values["control-port"], MOST_PORT, 0),
      seed: values.seed,
      rates: ratesOf(values.rates),
    });
    // One line of JSON, for whoever started it.
    process.stdout.write(`${JSON.stringify({ url, urls, controlUrl })}\n`);
    // Stdin ends when whoever started it has died, however it died: nobody will read the ledger any more.
    if (values["until-stdin-ends"]) process.stdin.on("end", () => process.exit(0)).resume();
  }
} catch (error) {
  endAfter("providers", error);
}

function ratesOf(text: string): FaultRateSettings {
  try {
    return checkFaultRates(JSON.parse(text));
  } catch (error) {
    throw new UsageError(`--rates ${text}: ${(error as Error).message}`);
  }
}
