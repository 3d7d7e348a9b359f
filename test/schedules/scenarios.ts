import { MAIN } from "./control-words.ts";
import { LOG_SCENARIOS } from "./log-scenarios.ts";
import type { MainRole } from "./main-role.ts";
import type { Order } from "./order.ts";
import type { Scenario } from "./scenario.ts";

// Of the schedule that is being tried; begun anew with each.
let [one, two]: (Order | undefined)[] = [];
let head = 0;

/** An order with a step that stays on thread 1, and one on each of these threads that fails whenever a schedule has it fail. */
function openOrder(main: MainRole, failing: readonly number[]): Order {
  for (const thread of [1, ...failing]) main.start(thread);
  const order = main.open();
  main.send(order, "stays", 1);
  for (const thread of failing) {
    main.send(order, "fails on request", thread);
    main.failLater(thread);
  }
  return order;
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: "a step fails, the main thread cancels, a step listens",
    threads: 3,
    preemptions: 2,
    last: [MAIN, 2],
    begin(main) {
      one = openOrder(main, [2]);
      main.later("cancel");
    },
    take: () => one?.cancel("deadline"),
  },
  {
    name: "two steps fail, a third one listens",
    threads: 4,
    preemptions: 1,
    last: [MAIN, 2, 3],
    begin(main) {
      openOrder(main, [2, 3]);
    },
  },
  {
    name: "a step starts while its order is canceled",
    threads: 3,
    preemptions: 3,
    begin(main) {
      for (const thread of [1, 2]) main.start(thread);
      const order = main.open();
      main.send(order, "stays", 1, true);
      main.send(order, "fails", 2, true);
    },
  },
  {
    name: "two orders are canceled, steps of both listen on one thread",
    threads: 3,
    preemptions: 2,
    last: [MAIN, 2],
    begin(main) {
      for (const thread of [1, 2]) main.start(thread);
      [one, two] = [main.open(), main.open()];
      main.send(one, "stays", 1);
      main.send(two, "stays", 1);
      main.send(one, "fails on request", 2);
      main.failLater(2);
      main.later("cancel");
    },
    take: () => two?.cancel("deadline"),
  },
  {
    name: "one of two steps on a thread ends while the order is canceled",
    threads: 3,
    preemptions: 3,
    last: [MAIN, 2],
    begin(main) {
      for (const thread of [1, 2]) main.start(thread);
      const order = main.open();
      main.send(order, "stays", 1);
      main.send(order, "succeeds", 1, true);
      main.send(order, "fails on request", 2);
      main.failLater(2);
    },
  },
  {
    name: "a step that failed dies or its thread does",
    threads: 3,
    preemptions: 1,
    mortal: [2],
    counts: true,
    begin(main) {
      openOrder(main, [2]);
    },
  },
  {
    name: "a canceler stalls for ever, the main thread cancels too",
    threads: 3,
    preemptions: 1,
    last: [MAIN, 2],
    stalling: [2],
    begin(main) {
      one = openOrder(main, [2]);
      main.later("cancel");
    },
    take: () => one?.cancel("deadline"),
  },
  {
    name: "a canceler stalls for ever, another step fails too",
    threads: 4,
    preemptions: 1,
    last: [MAIN, 2, 3],
    stalling: [2],
    begin(main) {
      openOrder(main, [2, 3]);
    },
  },
  {
    name: "a slot is given back and taken again while its last order's cancelers go on",
    threads: 3,
    preemptions: 1,
    begin(main) {
      for (const thread of [1, 2]) main.start(thread);
      const order = main.open();
      for (const thread of [1, 2]) {
        main.send(order, "fails on request", thread);
        main.failLater(thread);
      }
      order.whenClosed = () => main.send(main.open(), "stays", 1);
    },
  },
  {
    name: "a thread that has acknowledged a cancel has ended its steps",
    threads: 2,
    preemptions: 3,
    begin(main) {
      main.start(1);
      one = main.open();
      main.send(one, "stays", 1);
      main.later("cancel");
    },
    judge: (main) => main.expectAcknowledged(1, head),
    take(main, message) {
      if (message === "cancel") {
        one?.cancel("deadline");
        head = main.head();
        main.post("grace is over");
      } else if (one !== undefined) main.judgeGrace(one, 1, head);
    },
  },
  {
    name: "a thread dies and its replacement claims a row",
    threads: 3,
    preemptions: 1,
    mortal: [1],
    counts: true,
    judge: (main) => main.expectAcknowledged(2, 1),
    begin(main) {
      // So that the log is not where it was at first.
      one = main.open();
      one.cancel("deadline");
      one.close();
      main.start(1);
      main.send(main.open(), "succeeds", 1, true);
      main.start(2, true);
    },
    ready(main, thread) {
      if (thread === 2) main.send(main.open(), "stays", 2);
    },
  },
  ...LOG_SCENARIOS,
  {
    name: "the main thread looks at the counts while a step starts and ends",
    threads: 2,
    preemptions: 3,
    mortal: [1],
    counts: true,
    begin(main) {
      main.start(1);
      main.send(main.open(), "succeeds", 1, true);
      main.later("look");
    },
    take() {},
  },
  {
    name: "work that a step left behind meets the next order in its slot",
    threads: 3,
    preemptions: 3,
    begin(main) {
      for (const thread of [1, 2]) main.start(thread);
      one = main.open();
      main.send(one, "leaves work behind", 1);
      one.whenClosed = () => {
        two = main.open();
        main.send(two, "stays", 2);
      };
      main.failLater(1);
      main.later("cancel");
    },
    take: () => two?.cancel("deadline"),
  },
];
