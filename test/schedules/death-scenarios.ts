import { MAIN } from "./control-words.ts";
import type { Scenario } from "./scenario.ts";
import type { TestedGroup } from "./tested-group.ts";

// Of the schedule that is being tried; begun anew with each.
let [one, two]: (TestedGroup | undefined)[] = [];

/** About threads that die, or are ended, and those that take their place. */
export const DEATH_SCENARIOS: readonly Scenario[] = [
  {
    name: "a task that failed dies or its thread does",
    threads: 3,
    preemptions: 1,
    mortal: [2],
    counts: true,
    begin(main) {
      const group = main.open();
      main.run(group, "stays", 1);
      main.requestLater(main.run(group, "fails on request", 2));
    },
  },
  {
    name: "a thread dies and its replacement claims a row",
    threads: 3,
    shared: 1,
    preemptions: 1,
    most: 3,
    mortal: [1],
    counts: true,
    async begin(main) {
      // So that the log is not where it was at first.
      one = main.open();
      one.cancel("deadline");
      await one.close();
      main.held(() => main.run(main.open(), "succeeds", 1));
    },
    replaced: (main, thread) => void main.run(main.open(), "stays", thread),
  },
  {
    name: "a thread dies while tasks are on their way to it",
    threads: 3,
    shared: 1,
    preemptions: 1,
    last: [MAIN],
    mortal: [1],
    counts: true,
    begin(main) {
      main.held(() => main.run(main.open(), "succeeds", 1));
      main.later("run");
    },
    take(main) {
      main.run(main.open(), "succeeds");
      main.run(main.open(), "succeeds", undefined, { idempotent: true });
    },
  },
  {
    name: "a thread dies that has two tasks of a group that is canceled",
    threads: 2,
    preemptions: 1,
    most: 3,
    mortal: [1],
    begin(main) {
      one = main.open();
      main.requestLater(main.run(one, "fails on request", 1));
      main.run(one, "stays", 1);
      main.later("cancel");
    },
    take: () => one?.cancel("deadline"),
  },
  {
    name: "a thread is killed while a task on it ends",
    threads: 3,
    shared: 1,
    preemptions: 0,
    counts: true,
    begin(main) {
      main.run(main.open(), "stays", 1);
      main.held(() => main.run(main.open(), "succeeds", 1));
      main.later("kill");
    },
    take: (main) => main.kill(1),
  },
  {
    name: "a thread is killed in a native call",
    threads: 3,
    shared: 1,
    preemptions: 0,
    most: 1,
    stalling: [1],
    native: true,
    counts: true,
    begin(main) {
      main.run(main.open(), "stays", 1);
      main.held(() => main.run(main.open(), "succeeds", 1));
      main.later("kill");
    },
    take: (main) => main.kill(1),
    replaced: (main, thread) => void main.run(main.open(), "stays", thread),
  },
  {
    name: "the threads are closed while one of them is in a native call",
    threads: 2,
    preemptions: 0,
    most: 3,
    stalling: [1],
    native: true,
    maxTasksPerThread: 1,
    begin(main) {
      main.held(() => main.run(main.open(), "stays", 1));
      main.run(main.open(), "succeeds");
      main.later("close");
    },
    take: (main) => main.close(),
    judge(main) {
      if (main.threads.parts.table.inUse > 0) main.ledger.accuse("a task has not settled though the threads are closed");
    },
  },
  {
    name: "a thread dies while it starts",
    threads: 4,
    shared: 1,
    preemptions: 0,
    mortal: [2],
    fault: "a thread crashed while it started",
    begin: (main) => main.later("kill"),
    take(main) {
      main.kill(1);
      main.run(main.open(), "stays");
    },
  },
  {
    name: "a thread dies unseen while it starts",
    threads: 4,
    shared: 1,
    preemptions: 0,
    most: 3,
    mortal: [2],
    fault: "a thread crashed while it started",
    diesUnseen: true,
    begin(main) {
      main.held(() => main.kill(1));
      main.run(main.open(), "stays");
    },
  },
  {
    name: "a task is canceled that waits behind one that stays",
    threads: 2,
    preemptions: 3,
    maxTasksPerThread: 1,
    begin(main) {
      [one, two] = [main.open(), main.open()];
      main.run(two, "stays", 1);
      main.run(one, "stays");
      main.later("cancel");
    },
    take: () => one?.cancel("deadline"),
  },
  {
    name: "tasks that wait for a thread are canceled",
    threads: 2,
    preemptions: 3,
    maxTasksPerThread: 1,
    begin(main) {
      [one, two] = [main.open(), main.open()];
      main.run(one, "stays", 1);
      main.run(one, "stays");
      main.run(two, "succeeds");
      main.later("cancel");
    },
    take: () => one?.cancel("deadline"),
    judge(main) {
      if (two?.isClosed !== true) main.ledger.accuse("a task waits though its thread has nothing to do");
    },
  },
  {
    name: "a task computes for longer than a slice",
    threads: 2,
    preemptions: 1,
    most: 3,
    begin(main) {
      [one, two] = [main.open(), main.open()];
      main.held(() => {
        main.run(one as TestedGroup, "stays", 1);
        main.run(one as TestedGroup, "computes", 1);
        for (let n = 0; n < 2; n++) main.run(two as TestedGroup, "stays", 1);
      });
      main.later("cancel");
    },
    take: () => one?.cancel("deadline"),
  },
];
