import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { ChildServer } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { GUIDE } from "./commands.ts";
import { run } from "./run.ts";

interface Stuck {
  readonly order_id: string;
  readonly last_answer?: string;
}

const isAbsent = process.platform === "win32" || (await run("sh", ["-c", "command -v curl"])).code !== 0;

test.skipIf(isAbsent)("the guide to stuck refunds shows them, and compensates them in the end", async () => {
  const directory = mkdtempSync(join(tmpdir(), "try-it-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const [providers = "", service = "", breakVendor = "", order = "", ...later] = GUIDE.map(({ text }) => text);
  const [isStuck = "", mend = "", isMended = ""] = later;
  expect(later).toHaveLength(3);

  await using standIn = new ChildServer({}, ["sh", "-c", providers.replace("7000", "0").replace("7001", "0")]);
  const line = await eventually("its URLs", () => standIn.stdout.split("\n").find((text) => /^\{.*\}$/.test(text)));
  const { url, controlUrl } = JSON.parse(line ?? "") as Record<"url" | "controlUrl", string>;
  const replaced: [string, string][] = [
    ["http://127.0.0.1:7000", url],
    ["http://127.0.0.1:7001", controlUrl],
  ];
  const here = (text: string) => replaced.reduce((sofar, [from, to]) => sofar.replaceAll(from, to), text);
  // On a busy machine a step could miss the default deadline instead of failing.
  const settings = { JOURNAL: join(directory, "orders.db"), THREADS: "2", ORDER_TIMEOUT_MS: "60000" };
  await using server = new ChildServer(settings, ["sh", "-c", here(service)]);
  const { port, adminPort } = await server.ports();
  replaced.push(["http://127.0.0.1:8080", `http://127.0.0.1:${port}`], ["http://127.0.0.1:9090", `http://127.0.0.1:${adminPort}`]);
  const ask = async (text: string) => {
    const { code, stdout } = await run("sh", ["-c", here(text)]);
    expect({ text, code }).toEqual({ text, code: 0 });
    return JSON.parse(stdout);
  };

  await ask(breakVendor);
  expect(await ask(order)).toMatchObject({ status: "error", error: { kind: "vendor_unavailable" } });
  await eventually(
    "a refused compensation",
    () => ask(isStuck),
    ({ compensations }) =>
      compensations.some(({ order_id, last_answer }: Stuck) => order_id === "stuck" && /^HTTP /.test(last_answer ?? "")),
  );
  await ask(mend);
  await eventually(
    "nothing pending",
    () => ask(isMended),
    ({ compensations }) => compensations.length === 0,
  );
});
