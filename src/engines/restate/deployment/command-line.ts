import { parseArgs } from "node:util";
import { EngineAdmin } from "../client/engine-admin.ts";

export interface DeploymentArguments {
  readonly admin: string;
  /** Where the engine reaches the nodes: a node's endpoint, or the balancer in front of all. */
  readonly url: string;
  readonly force: boolean;
  readonly keep: boolean;
  readonly timeoutMs: number;
}

const OPTIONS = {
  admin: { type: "string" },
  url: { type: "string" },
  force: { type: "boolean", default: false },
  keep: { type: "boolean", default: false },
  "timeout-s": { type: "string", default: "600" },
  help: { type: "boolean", short: "h", default: false },
} as const;

/**
 * Runs a command of `npm run engine:*` and ends the process: with 1 and one line that says what is wrong where it fails. `--admin` stands
 * for `RESTATE_ADMIN_URL`, and that for it.
 */
export async function runCommand(usage: string, command: (args: DeploymentArguments, engine: EngineAdmin) => Promise<void>): Promise<void> {
  let engine: EngineAdmin | undefined;
  try {
    const { values } = parseArgs({ options: OPTIONS });
    if (values.help) {
      process.stdout.write(usage);
      return;
    }
    const admin = checkedUrl("--admin (or RESTATE_ADMIN_URL)", values.admin ?? process.env.RESTATE_ADMIN_URL);
    const url = checkedUrl("--url", values.url);
    const seconds = Number(values["timeout-s"]);
    if (!(seconds >= 0)) throw new RangeError(`--timeout-s ${values["timeout-s"]}: must be a number of seconds`);
    engine = new EngineAdmin(admin);
    await command({ admin, url, force: values.force, keep: values.keep, timeoutMs: seconds * 1_000 }, engine);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 1;
  } finally {
    engine?.close();
  }
}

function checkedUrl(name: string, text: string | undefined): string {
  if (text === undefined || text === "") throw new RangeError(`${name}: is needed, an http or https URL; --help tells more`);
  const protocol = URL.canParse(text) ? new URL(text).protocol : "";
  if (protocol !== "http:" && protocol !== "https:") throw new RangeError(`${name} ${text}: must be an http or https URL`);
  return text;
}
