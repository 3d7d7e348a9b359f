import { readFileSync } from "node:fs";
import { ERROR_ANSWERS } from "../status.ts";
import { paths } from "./paths.ts";
import { ANSWER_HEADERS, SHARED_RESPONSES } from "./responses.ts";
import { componentSchemas, type Json } from "./schemas.ts";

const { version } = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as { version: string };

const TEXT = `Runs the steps of an order in parallel on OS threads. The first failure, the deadline or a client that hangs up cancels the rest; what had already happened is compensated.

Every answer has an \`X-Request-Id\`. An error answer is \`{"status":"error","error":{"kind":"...","message":"..."}}\`; that of an order that ran has \`order_id\` and \`steps\` too. Any other path, but for the files that \`/docs\` loads, is answered with 404 \`not_found\`, any other method with 405 \`method_not_allowed\` and \`Allow\`. A server on which API keys are configured needs one of them for orders and look-ups.`;
const SIMULATED =
  "The providers of this server are simulated: `fail_step`, `delay_ms` and `cpu_ms` say how they behave for one order, and no money moves.";
const REAL = "The providers of this server are real: an order that is placed is paid for.";

/**
 * The OpenAPI 3.1 document of the public listener, made from what checks requests and from the table of error kinds. `simulated`: the
 * providers are, so orders may say how they behave.
 */
export function openApiDocument(simulated: boolean): Json {
  return {
    openapi: "3.1.1",
    info: {
      title: "Order Pipeline",
      version,
      description: `${TEXT}\n\n${simulated ? SIMULATED : REAL}`,
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/", description: "The server that this document comes from." }],
    tags: [
      { name: "orders", description: "Place them, look them up." },
      { name: "health", description: "For supervisors and balancers." },
      { name: "documents", description: "What you are reading." },
    ],
    paths: paths(simulated),
    components: {
      schemas: componentSchemas(simulated),
      responses: SHARED_RESPONSES,
      headers: ANSWER_HEADERS,
      securitySchemes: {
        apiKey: { type: "http", scheme: "bearer", description: "Only where API keys are configured (`API_KEYS_FILE`)." },
      },
    },
    "x-providers": simulated ? "simulated" : "real",
    "x-error-kinds": Object.entries(ERROR_ANSWERS).map(([kind, { status, when }]) => ({ kind, status, when })),
  };
}
