import fc from "fast-check";
import { expect, test } from "vitest";
import { Canceled, CancelScope, type GroupResult, TaskGroup } from "../../src/threads/index.ts";
import { CAUSES, type Cause } from "./causes.ts";
import { interleave } from "./interleaving.ts";
import { type End, type Reply, TaskGroupModel } from "./task-group-model.ts";

/** `pick` chooses among the tasks that can still end when the command runs, so that shrinking keeps commands meaningful. */
type Action =
  | { readonly do: "spawn"; readonly obeys: boolean; readonly throws: boolean }
  | { readonly do: "end"; readonly pick: number; readonly how: "finish" | "throw" | "data" }
  | { readonly do: "cancelParent" | "cancelGroup"; readonly cause: Cause }
  | { readonly do: "join" };
type Command = Action | { readonly do: "turn" } | { readonly do: "drain" };

const pick = fc.nat(1_000);
const cause = fc.constantFrom(...CAUSES);
// Mostly calm: were every failure as likely as a finish, few groups would live long enough to have more than one task.
const how = fc.constantFrom("finish", "finish", "finish", "throw", "data");
const throws = fc.integer({ min: 0, max: 15 }).map((n) => n === 15);
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("spawn"), obeys: fc.boolean(), throws }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("end"), pick, how }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("cancelParent", "cancelGroup"), cause }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("join") }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("turn") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("drain") }) },
);

class Run {
  readonly model: TaskGroupModel;
  readonly #parent = new CancelScope<Cause>();
  readonly #group: TaskGroup<Reply, Cause>;
  readonly #started: number[] = [];
  readonly #shouldStart: number[] = [];
  readonly #gates = new Map<number, (end: End) => void>();
  #join: Promise<GroupResult<Reply, Cause>> | undefined;

  constructor(canceledBefore: Cause | undefined, met: Set<string>) {
    if (canceledBefore !== undefined) this.#parent.cancel(canceledBefore);
    this.model = new TaskGroupModel(canceledBefore, met);
    this.#group = new TaskGroup({ parent: this.#parent, isFailure: (reply) => reply.bad });
  }

  apply(command: Action): void {
    switch (command.do) {
      case "spawn":
        this.#spawn(command.obeys, command.throws);
        return;
      case "end": {
        const open = this.model.open;
        const index = open[command.pick % open.length];
        if (index !== undefined) this.#end(index, command.how);
        return;
      }
      case "cancelParent":
        if (this.#parent.cause === undefined && this.model.result === undefined) this.model.cancel(command.cause);
        this.#parent.cancel(command.cause);
        return;
      case "cancelGroup":
        expect(this.#group.scope.cancel(command.cause)).toBe(this.model.cancel(command.cause));
        return;
      case "join": {
        const join = this.#group.join();
        this.#join ??= join;
        expect(join).toBe(this.#join);
        this.model.join();
      }
    }
  }

  check(): void {
    const { scope } = this.#group;
    const { cause, listeners } = this.model;
    expect({ cause: scope.cause, listeners: scope.listenerCount }).toEqual({ cause, listeners });
    expect(this.#parent.listenerCount).toBe(this.#parent.cause !== undefined || this.model.result !== undefined ? 0 : 1);
    expect(this.#started).toEqual(this.#shouldStart);
  }

  /** Ends what still runs, the way of a task that has not heard of any cancel. */
  finishAll(): void {
    for (const index of this.model.open) this.#end(index, "finish");
    this.apply({ do: "join" });
  }

  async checkEnd(): Promise<void> {
    const result = await this.#join;
    expect(this.model.result).toBeDefined();
    expect(result).toEqual(this.model.result);
    expect([this.#group.scope.listenerCount, this.#parent.listenerCount]).toEqual([0, 0]);
  }

  #spawn(obeys: boolean, throws: boolean): void {
    const index = this.model.tasks.length;
    const thrown = throws ? new Error(`task ${index} threw at once`) : undefined;
    const spawn = () => this.#group.spawn((scope) => this.#task(index, scope, obeys, thrown));
    if (this.model.joined) {
      expect(spawn).toThrow("spawn after join");
      return;
    }
    if (this.model.spawn(obeys, thrown)) this.#shouldStart.push(index);
    spawn();
  }

  #task(index: number, scope: CancelScope<Cause>, obeys: boolean, thrown: Error | undefined): Promise<Reply> {
    this.#started.push(index);
    if (thrown !== undefined) throw thrown;
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const subscription = obeys ? scope.onCancel((cause) => reject(new Canceled(cause))) : undefined;
    this.#gates.set(index, (end) => {
      subscription?.unsubscribe();
      if ("value" in end) resolve(end.value);
      else if ("error" in end) reject(end.error);
    });
    return promise;
  }

  #end(index: number, how: "finish" | "throw" | "data"): void {
    const end: End = how === "throw" ? { error: new Error(`task ${index} threw`) } : { value: { from: index, bad: how === "data" } };
    this.model.settle(index, end);
    this.#gates.get(index)?.(end);
  }
}

test("a group does what the model does under every interleaving", async () => {
  const met = new Set<string>();
  const before = fc.oneof({ weight: 15, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: cause });
  const commands = fc.array(command, { maxLength: 40, size: "max" });
  const property = fc.asyncProperty(before, commands, async (canceledBefore, commands) => {
    const run = new Run(canceledBefore, met);
    await interleave(run, commands, () => run.finishAll());
    run.check();
    await run.checkEnd();
  });
  await fc.assert(property, { numRuns: 800 });
  const ends = ["thrown", "data"].flatMap((how) => [`first failure ${how}`, `later failure ${how}`]);
  const causes = CAUSES.map((cause) => `canceled by ${cause}`);
  const rest = ["canceled before start", "ok after the cancel", "first failure after the cancel"];
  expect([...met]).toEqual(expect.arrayContaining([...ends, ...causes, ...rest]));
});

/** A task that ends `canceled` as soon as its scope is canceled, and never otherwise. */
const untilCanceled = (scope: CancelScope) => new Promise<never>((_, reject) => scope.onCancel((cause) => reject(new Canceled(cause))));

test("a group without tasks ends; a task gets the group's scope and its index", async () => {
  expect(await new TaskGroup().join()).toEqual({ outcomes: [], firstFailure: undefined, cause: undefined });
  const group = new TaskGroup<string>();
  const got: unknown[] = [];
  for (let n = 0; n < 2; n++) {
    group.spawn(async (...given) => {
      got.push(...given);
      return "bad, where nobody says that a value is a failure";
    });
  }
  expect(got).toEqual([group.scope, 0, group.scope, 1]);
  expect(await group.join()).toMatchObject({ firstFailure: undefined, cause: undefined });
});

test.each([undefined, null, "text", new Canceled("deadline")])(
  "a task that throws %s in a group that is not canceled fails with it",
  async (error) => {
    const group = new TaskGroup<string>();
    group.spawn(() => Promise.reject(error));
    expect(await group.join()).toEqual({ outcomes: [{ status: "failed", error }], firstFailure: 0, cause: "sibling_failed" });
  },
);

test("a task that gives no promise fails, and the group ends", async () => {
  const group = new TaskGroup<string>();
  group.spawn((() => undefined) as never);
  expect(await group.join()).toMatchObject({ outcomes: [{ status: "failed", error: expect.any(TypeError) }], firstFailure: 0 });
});

test.each<[what: string, failing: () => Promise<string>]>([
  ["rejects", () => Promise.reject(new Error("no"))],
  ["gives a value that is a failure", () => Promise.resolve("bad")],
  [
    "throws before it gives a promise",
    () => {
      throw new Error("no");
    },
  ],
])(
  "a task that %s has been reported as ended before its siblings are canceled: what they held together can be given back to them",
  async (_what, failing) => {
    const log: string[] = [];
    const group = new TaskGroup<string>({ onTaskEnded: (index) => log.push(`${index} ended`), isFailure: (value) => value === "bad" });
    group.spawn(untilCanceled);
    group.scope.onCancel((cause) => log.push(cause));
    group.spawn(failing);
    await group.join();
    expect(log).toEqual(["1 ended", "sibling_failed", "0 ended"]);
  },
);
