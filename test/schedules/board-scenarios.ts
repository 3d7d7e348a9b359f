import { MAIN } from "./control-words.ts";
import type { MainRole } from "./main-role.ts";
import type { Scenario } from "./scenario.ts";
import type { TestedGroup } from "./tested-group.ts";

// Of the schedule that is being tried; begun anew with each.
let [one, two]: (TestedGroup | undefined)[] = [];

/** A group with a task that stays on thread 1, and one on each of these threads that fails whenever a schedule has it fail. */
function openGroup(main: MainRole, failing: readonly number[]): TestedGroup {
  const group = main.open();
  main.run(group, "stays", 1);
  for (const thread of failing) {
    main.requestLater(main.run(group, "fails on request", thread));
  }
  return group;
}

function beginWithTwo(main: MainRole): void {
  [one, two] = [main.open(), main.open()];
  main.run(one, "stays", 1);
  main.requestLater(main.run(two, "fails on request", 2));
}

async function cancelOthers(main: MainRole, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const group = main.open();
    group.cancel("aborted");
    await group.close();
  }
}

/** About the board: words, log and bells. In the last ones more is logged than the log holds. */
export const BOARD_SCENARIOS: readonly Scenario[] = [
  {
    name: "a task fails, the main thread cancels, a task listens",
    threads: 3,
    preemptions: 1,
    most: 3,
    last: [MAIN, 2],
    begin(main) {
      one = openGroup(main, [2]);
      main.later("cancel");
    },
    take: () => one?.cancel("deadline"),
  },
  {
    name: "two tasks fail, a third one listens",
    threads: 4,
    preemptions: 1,
    last: [MAIN, 2, 3],
    begin(main) {
      openGroup(main, [2, 3]);
    },
  },
  {
    name: "a task starts while its group is canceled",
    threads: 3,
    preemptions: 2,
    most: 3,
    begin(main) {
      const group = main.open();
      main.held(() => {
        main.run(group, "stays", 1);
        main.run(group, "fails", 2);
      });
    },
  },
  {
    name: "two groups are canceled, tasks of both listen on one thread",
    threads: 3,
    preemptions: 2,
    most: 3,
    last: [MAIN, 2],
    begin(main) {
      [one, two] = [main.open(), main.open()];
      main.run(one, "stays", 1);
      main.requestLater(main.run(one, "fails on request", 2));
      main.run(two, "stays", 1);
      main.later("cancel");
    },
    take: () => two?.cancel("deadline"),
  },
  {
    name: "one of three tasks on a thread ends while the group is canceled",
    threads: 3,
    preemptions: 3,
    last: [MAIN, 2],
    begin(main) {
      const [group, other] = [main.open(), main.open()];
      main.run(group, "stays", 1);
      main.requestLater(main.run(group, "fails on request", 2));
      const middle = main.run(group, "ignores its cancel", 1);
      main.run(other, "stays", 2);
      main.run(group, "stays", 1);
      main.requestLater(middle);
    },
  },
  {
    name: "a canceler stalls for ever, the main thread cancels too",
    threads: 3,
    preemptions: 1,
    last: [MAIN, 2],
    stalling: [2],
    begin(main) {
      one = openGroup(main, [2]);
      main.later("cancel");
    },
    take: () => one?.cancel("deadline"),
  },
  {
    name: "a canceler stalls for ever, another task fails too",
    threads: 4,
    preemptions: 1,
    last: [MAIN, 2, 3],
    stalling: [2],
    begin(main) {
      openGroup(main, [2, 3]);
    },
  },
  {
    name: "a canceler stalls for ever, a sibling looks by itself",
    threads: 4,
    preemptions: 0,
    last: [MAIN],
    stalling: [2],
    mayGoUnheard: true,
    begin(main) {
      one = openGroup(main, [2]);
      main.requestLater(main.run(one, "looks on request", 3));
    },
    judge(main) {
      const [listens, , looks] = one?.tasks ?? [];
      if (looks?.outcome?.status === "canceled" && listens?.outcome === undefined)
        main.ledger.accuse("the task that listens has not heard");
    },
  },
  {
    name: "a slot is given back and taken again while its last group's cancelers go on",
    threads: 3,
    preemptions: 1,
    begin(main) {
      const group = main.open();
      for (const thread of [1, 2]) main.requestLater(main.run(group, "fails on request", thread));
      group.whenClosed = () => main.run(main.open(), "stays");
    },
  },
  {
    name: "the main thread looks at the counts while a task starts and ends",
    threads: 2,
    preemptions: 3,
    counts: true,
    begin(main) {
      main.held(() => main.run(main.open(), "succeeds", 1));
      main.later("look");
    },
    take() {},
  },
  {
    name: "work that a task left behind goes on beside its siblings",
    threads: 2,
    preemptions: 3,
    begin(main) {
      one = main.open();
      main.requestLater(main.run(one, "leaves work behind", 1));
      main.run(one, "stays", 1);
      main.later("cancel");
    },
    take: () => one?.cancel("deadline"),
  },
  {
    name: "work that a task left behind meets the next group in its slot",
    threads: 3,
    preemptions: 3,
    begin(main) {
      [one, two] = [main.open(), undefined];
      main.requestLater(main.run(one, "leaves work behind", 1));
      one.whenClosed = () => {
        two = main.open();
        main.run(two, "stays");
      };
      main.later("cancel");
    },
    take: () => two?.cancel("deadline"),
  },
  {
    name: "a listener falls behind by more than the log holds",
    threads: 3,
    preemptions: 1,
    last: [MAIN, 2],
    begin(main) {
      beginWithTwo(main);
      main.later("storm");
    },
    take(main) {
      one?.cancel("deadline");
      void cancelOthers(main, 4);
    },
  },
  {
    name: "a writer stalls while the log is filled twice",
    threads: 3,
    preemptions: 1,
    stopped: [2],
    last: [2],
    begin(main) {
      beginWithTwo(main);
      main.later("fill");
    },
    async take(main, message) {
      // In two parts, so that the listener comes to the log in between and is not so far behind that it does without.
      await cancelOthers(main, message === "fill" ? 6 : 2);
      if (message === "fill") main.post("fill again");
      else one?.cancel("deadline");
    },
  },
];
