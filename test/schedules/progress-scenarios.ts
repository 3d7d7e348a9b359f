import { MAIN } from "./control-words.ts";
import type { Scenario } from "./scenario.ts";
import type { TestedGroup, TestedTask } from "./tested-group.ts";

// Of the schedule that is being tried; begun anew with each.
let [one, two]: (TestedGroup | undefined)[] = [];
let task: TestedTask | undefined;

// After nine looks it is certain that none has moved for eight.
const STUCK_MS = 9 * 250;

/** About threads that stand still, and those on which tasks were given up. */
export const PROGRESS_SCENARIOS: readonly Scenario[] = [
  {
    name: "an exclusive thread is free once the task that it was given up for has ended",
    threads: 3,
    shared: 0,
    exclusive: 1,
    preemptions: 1,
    most: 3,
    fast: true,
    graceMs: 100,
    looks: 9,
    begin(main) {
      [one, two] = [main.open(), main.open()];
      task = main.run(one, "ignores its cancel", 1, { on: "exclusive" });
      main.run(two, "succeeds", undefined, { on: "exclusive" });
      main.later("cancel");
    },
    take(main) {
      one?.cancel("deadline");
      setTimeout(() => main.request(task as TestedTask), 700);
    },
    judge(main) {
      if (main.threads.replaced.size > 0) main.ledger.accuse("a thread was ended that is well");
      if (two?.isClosed !== true) main.ledger.accuse("a task waits though its thread has nothing to do");
    },
  },
  {
    name: "a thread stands still beside one that is well",
    threads: 4,
    shared: 2,
    preemptions: 0,
    fast: true,
    last: [MAIN],
    stalling: [1],
    looks: 11,
    begin(main) {
      one = main.open();
      main.held(() => main.run(one as TestedGroup, "looks on request", 1));
      main.run(main.open(), "stays", 2);
    },
    judge(main) {
      const reasons = [...main.threads.replaced].join();
      const isStuck = main.control.turns.isGone(1) && !main.control.turns.isStalled(1);
      if (reasons !== (isStuck ? "1,heartbeat" : "")) main.ledger.accuse(`replaced: ${reasons}`);
      if (main.control.turns.stalledForMs(1) > STUCK_MS) main.ledger.accuse("a thread that stands still is kept");
    },
  },
  {
    name: "a task computes alone on its thread",
    threads: 3,
    shared: 1,
    exclusive: 1,
    preemptions: 0,
    most: 3,
    fast: true,
    last: [MAIN],
    stalling: [2],
    looks: 11,
    begin(main) {
      one = main.open();
      main.held(() => {
        task = main.run(one as TestedGroup, "looks on request", 2, { on: "exclusive" });
      });
    },
    judge(main) {
      const computes = main.ledger.bodies(task?.number as number) > 0;
      if (computes && main.threads.replaced.size > 0) main.ledger.accuse("a thread was ended for computing");
    },
  },
  {
    name: "a task that computes alone on its thread is canceled",
    threads: 3,
    exclusive: 1,
    shared: 0,
    preemptions: 0,
    most: 3,
    fast: true,
    stalling: [1],
    native: true,
    graceMs: 100,
    looks: 12,
    begin(main) {
      [one, two] = [main.open(), main.open()];
      main.held(() => main.run(one as TestedGroup, "looks on request", 1, { on: "exclusive" }));
      task = main.run(two, "succeeds", undefined, { on: "exclusive" });
      main.later("cancel");
    },
    take: () => one?.cancel("deadline"),
    judge(main) {
      if (!main.ledger.took(task?.number as number)) main.ledger.accuse("the task behind it never runs");
    },
  },
  {
    name: "a task ignores its cancel on a thread that is well",
    threads: 2,
    preemptions: 1,
    most: 3,
    fast: true,
    graceMs: 100,
    looks: 10,
    begin(main) {
      [one, two] = [main.open(), main.open()];
      main.run(one, "ignores its cancel", 1);
      main.run(two, "stays", 1);
      main.later("cancel");
    },
    take: () => one?.cancel("deadline"),
    judge(main) {
      if (main.threads.replaced.size > 0) main.ledger.accuse("a thread was ended that is well");
    },
  },
  {
    name: "tasks that ignore their cancel pile up on a thread",
    threads: 3,
    shared: 1,
    preemptions: 1,
    most: 3,
    fast: true,
    graceMs: 100,
    looks: 10,
    maxGivenUp: 1,
    begin(main) {
      [one, two] = [main.open(), main.open()];
      main.run(one, "ignores its cancel", 1);
      task = main.run(two, "looks on request", 1);
      main.later("cancel");
    },
    take(main) {
      one?.cancel("deadline");
      setTimeout(() => {
        main.request(task as TestedTask);
        for (let n = 0; n < 2; n++) main.run(main.open(), "stays", 2);
      }, 2_000);
    },
    judge(main) {
      const reasons = [...main.threads.replaced].join();
      if (reasons !== "1,grace") main.ledger.accuse(`replaced: ${reasons}, expected: 1,grace`);
      if (task?.outcome?.status !== "ok") main.ledger.accuse(`the task beside is ${task?.outcome?.status}`);
    },
  },
  {
    name: "two threads are set aside one after the other",
    threads: 4,
    shared: 1,
    preemptions: 0,
    fast: true,
    graceMs: 100,
    looks: 20,
    maxGivenUp: 1,
    begin(main) {
      [one, two] = [main.open(), undefined];
      main.run(one, "ignores its cancel", 1);
      main.run(main.open(), "stays", 1);
      main.later("cancel");
    },
    take(main) {
      one?.cancel("deadline");
      setTimeout(() => {
        two = main.open();
        main.run(two, "ignores its cancel", 2);
        main.run(main.open(), "stays", 2);
      }, 2_000);
      setTimeout(() => two?.cancel("deadline"), 2_100);
    },
    judge(main) {
      const reasons = [...main.threads.replaced].join();
      if (reasons !== "1,grace") main.ledger.accuse(`replaced: ${reasons}, expected: 1,grace`);
    },
  },
  {
    name: "a thread does not come up",
    threads: 4,
    shared: 1,
    preemptions: 0,
    stalling: [2],
    looks: 3,
    startTimeoutMs: 250,
    fault: "a thread was ended before it came up",
    begin(main) {
      main.held(() => main.kill(1));
      main.run(main.open(), "stays");
    },
    judge(main) {
      if (main.threads.find(2) === undefined && main.threads.find(3) === undefined) main.ledger.accuse("the thread was not replaced");
    },
  },
];
