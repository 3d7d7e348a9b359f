import type { Scenario } from "./scenario.ts";
import type { TestedGroup, TestedTask } from "./tested-group.ts";

// Of the schedule that is being tried; begun anew with each.
let [one, two]: (TestedGroup | undefined)[] = [];
let task: TestedTask | undefined;

/** About tasks that ignore their cancel, and are given up. */
export const GRACE_SCENARIOS: readonly Scenario[] = [
  {
    name: "a task is given up and fails later, its slot is taken again",
    threads: 2,
    preemptions: 1,
    graceMs: 100,
    counts: true,
    begin(main) {
      one = main.open();
      main.requestLater(main.run(one, "fails on request", 1));
      main.later("cancel");
      one.whenClosed = () => main.run(main.open(), "stays");
    },
    take: () => one?.cancel("deadline"),
  },
  {
    name: "a task is canceled on its way and given up before it arrives",
    threads: 2,
    preemptions: 1,
    most: 3,
    graceMs: 100,
    counts: true,
    begin(main) {
      one = main.open();
      main.held(() => main.run(one as TestedGroup, "stays", 1));
      main.later("cancel");
    },
    take: () => one?.cancel("deadline"),
  },
  {
    name: "a task looks after it was given up",
    threads: 2,
    preemptions: 0,
    graceMs: 100,
    begin(main) {
      [one, two] = [main.open(), undefined];
      task = main.run(one, "looks when its group is over", 1);
      one.whenClosed = () => {
        two = main.open();
        main.run(two, "stays");
        main.post("request");
        main.post("cancel");
      };
      main.later("cancel");
    },
    take(main, message) {
      if (message === "request") main.request(task as TestedTask);
      else if (two === undefined) one?.cancel("deadline");
      else two.cancel("aborted");
    },
  },
  {
    name: "two groups are canceled one after the other and ignore it",
    threads: 2,
    preemptions: 2,
    most: 3,
    graceMs: 100,
    begin(main) {
      [one, two] = [main.open(), main.open()];
      main.run(one, "ignores its cancel", 1);
      main.run(two, "ignores its cancel", 1);
      main.later("cancel");
    },
    take() {
      one?.cancel("deadline");
      setTimeout(() => two?.cancel("deadline"), 60);
    },
  },
  {
    name: "the main thread stands still for longer than a grace",
    threads: 2,
    preemptions: 2,
    most: 3,
    graceMs: 100,
    begin(main) {
      one = main.open();
      main.run(one, "stays", 1);
      main.run(one, "ignores its cancel", 1);
      main.later("cancel");
    },
    take(main) {
      one?.cancel("deadline");
      main.stall(400);
    },
  },
];
