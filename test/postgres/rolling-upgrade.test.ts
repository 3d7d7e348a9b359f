import { Agent } from "node:http";
import { expect, test } from "vitest";
import { perStepSetting } from "../../src/orders/steps.ts";
import { ChildServer } from "../support/child-server.ts";
import { CopiedProject } from "../support/copied-project.ts";
import { eventually } from "../support/eventually.ts";
import { newId, postOrder, type Received, send } from "../support/http-client.ts";
import { freePort } from "../support/postgres/free-port.ts";
import { RetryingProxy } from "../support/retrying-proxy.ts";
import { Site } from "./site.ts";

const CLIENTS = 8;
const ENOUGH = 24;
const SCHEMA_FILE = "src/journal/postgres/schema.ts";

const TABLES = ["attempts", "compensations", "outbox", "idempotency_keys", "nodes", "waiters", "dead_letters"];
/** Every table has more columns; one says of each attempt which version of the schema its node knows. The version before can ignore them. */
const EXPAND = `{ worksWith: 1, sql: \`
  ${TABLES.map((table) => `ALTER TABLE ${table} ADD COLUMN since_next text DEFAULT 'next';`).join("\n  ")}
  ALTER TABLE attempts ADD COLUMN accepted_by integer;
  CREATE FUNCTION note_version() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    SELECT schema_version INTO NEW.accepted_by FROM nodes WHERE life = NEW.open_by;
    RETURN NEW;
  END $$;
  CREATE TRIGGER note_version BEFORE INSERT ON attempts FOR EACH ROW EXECUTE FUNCTION note_version();\` },`;
/** Nothing of the first version works on it any more. */
const CONTRACT = "{ worksWith: 2, sql: `ALTER TABLE attempts ADD CHECK (accepted_by >= 2) NOT VALID` },";

/** This project with more migrations of the schema: a later version of it. */
function laterVersion(name: string, migrations: readonly string[]): CopiedProject {
  const project = new CopiedProject(name);
  const text = project.read(SCHEMA_FILE);
  const end = text.lastIndexOf("];");
  project.write(SCHEMA_FILE, `${text.slice(0, end)}${migrations.join("\n")}\n${text.slice(end)}`);
  return project;
}

/** A place for a node: a port, with a balancer in front that holds requests back while no node is there. */
class Slot implements AsyncDisposable {
  readonly proxy: RetryingProxy;
  readonly #settings: Readonly<Record<string, string>>;
  #node: ChildServer | undefined;

  private constructor(proxy: RetryingProxy, settings: Readonly<Record<string, string>>) {
    this.proxy = proxy;
    this.#settings = settings;
  }

  static async open(site: Site, name: string): Promise<Slot> {
    const port = await freePort();
    const proxy = await RetryingProxy.start({ upstreamPort: port, keepsConnections: true });
    const urls = perStepSetting("URL", () => site.providers.url);
    return new Slot(proxy, { PORT: `${port}`, JOURNAL: site.url, NODE_NAME: name, THREADS: "1", COURIER_CAPACITY: "128", ...urls });
  }

  /** Ends the node that is there, and starts another. `cwd`: its version. */
  async replace(cwd?: string): Promise<void> {
    await this.stop();
    this.#node = this.start(cwd);
    await this.#node.ports();
  }

  start(cwd?: string, settings = {}): ChildServer {
    return new ChildServer({ ...this.#settings, ...settings }, undefined, cwd === undefined ? {} : { cwd });
  }

  async stop(): Promise<void> {
    if (this.#node === undefined) return;
    this.#node.signal("SIGTERM");
    expect(await this.#node.exited).toEqual({ code: 0, signal: null });
    expect(this.#node.logged.filter(({ level }) => level >= 40)).toEqual([]);
    this.#node = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    await this.#node?.[Symbol.asyncDispose]();
  }
}

/** How a start that is refused ends. */
function refusal(server: ChildServer) {
  return server.ports().then(
    () => "it is up",
    () => server.exited,
  );
}

test("a rolling upgrade under load over two versions of the schema: no request fails, no order changes, and nothing is accepted by a version that the schema has left behind", async () => {
  await using site = await Site.open();
  using second = laterVersion("second-version", [EXPAND]);
  using third = laterVersion("third-version", [EXPAND, CONTRACT]);
  await using one = await Slot.open(site, "one");
  await using two = await Slot.open(site, "two");
  const agent = new Agent({ keepAlive: true });
  const answers = new Map<string, Received>();
  let isOn = true;
  const client = async (nth: number) => {
    while (isOn) {
      const id = newId("rolling");
      const order = { order_id: id, amount: 5 };
      const headers = { "idempotency-key": id };
      const [first, other] = nth % 2 === 0 ? [one, two] : [two, one];
      answers.set(id, await postOrder(first.proxy.port, order, { headers, agent }));
      const again = await postOrder(other.proxy.port, order, { headers, agent });
      expect({ id, text: again.text, replayed: again.headers["idempotent-replayed"] }).toMatchObject({
        text: answers.get(id)?.text,
        replayed: "true",
      });
    }
  };
  const accepted = (version: number) => site.count("attempts", `accepted_by = ${version}`);
  await one.replace();
  const clients = Promise.all(Array.from({ length: CLIENTS }, (_, nth) => client(nth)));
  const more = async () => {
    const wanted = answers.size + ENOUGH;
    await Promise.race([clients, eventually("more answers", () => answers.size >= wanted)]);
  };
  try {
    // Who comes to an empty place is held back until there is a node.
    await two.replace(second.directory);
    await more();
    expect(await accepted(1)).toBeGreaterThan(0);
    expect(await accepted(2)).toBeGreaterThan(0);
    // The first version still runs: what it works with stays.
    await using early = two.start(third.directory, { PORT: "0", NODE_NAME: "early" });
    expect(await refusal(early)).toEqual({ code: 1, signal: null });
    expect(early.stderr).toContain("schema 3 would stop the nodes one, which run and know up to less than 2");
    // As after a rollback.
    await one.replace();
    await more();
    await one.replace(second.directory);
    const byTheFirst = await accepted(1);
    await two.replace(third.directory);
    await more();
    expect(await accepted(3)).toBeGreaterThan(0);
    expect(await accepted(1)).toBe(byTheFirst);
    await using late = one.start(undefined, { PORT: "0", NODE_NAME: "late" });
    expect(await refusal(late)).toEqual({ code: 1, signal: null });
    expect(late.stderr).toContain("it has schema 3, written by a newer version, and this one knows up to 1");
  } catch (error) {
    // The clients of an empty place would be held back for a minute, and the nodes would outlive the test.
    isOn = false;
    agent.destroy();
    await clients.catch(() => {});
    throw error;
  }
  isOn = false;
  await clients.finally(() => agent.destroy());
  expect([...one.proxy.broken, ...two.proxy.broken]).toEqual([]);
  expect([...answers.values()].filter(({ status }) => status !== 200)).toEqual([]);
  for (const [id, { json }] of answers) {
    const shown = (await send(one.proxy.port, { path: `/order/${id}` })).json;
    expect(shown).toMatchObject({ status: "ok", attempts_total: 1, steps: json.steps });
    expect(site.providers.of(id, 1).toSorted()).toEqual(["courier", "payment", "vendor"]);
  }
  await one.stop();
  await two.stop();
});
