import { MAIN } from "./control-words.ts";
import type { Order } from "./order.ts";
import type { Scenario } from "./scenario.ts";

// Of the schedule that is being tried; begun anew with each.
let [one, two]: (Order | undefined)[] = [];

/** Those in which more is logged than the log holds. */
export const LOG_SCENARIOS: readonly Scenario[] = [
  {
    name: "a listener falls behind by more than the log holds",
    threads: 3,
    preemptions: 1,
    last: [MAIN, 2],
    begin(main) {
      for (const thread of [1, 2]) main.start(thread);
      [one, two] = [main.open(), main.open()];
      main.send(one, "stays", 1);
      main.send(two, "fails on request", 2);
      main.failLater(2);
      main.later("storm");
    },
    take(main) {
      one?.cancel("deadline");
      for (let n = 0; n < 4; n++) {
        const order = main.open();
        order.cancel("client_disconnected");
        order.close();
      }
    },
  },
  {
    name: "a writer stalls while the log is filled twice",
    threads: 3,
    preemptions: 2,
    stopped: [2],
    last: [2],
    begin(main) {
      for (const thread of [1, 2]) main.start(thread);
      [one, two] = [main.open(), main.open()];
      main.send(one, "stays", 1);
      main.send(two, "fails on request", 2);
      main.failLater(2);
      main.later("fill");
    },
    take(main, message) {
      // In two parts, so that the listener comes to the log in between and is not so far behind that it does without.
      for (let n = 0; n < (message === "fill" ? 6 : 2); n++) {
        const order = main.open();
        order.cancel("client_disconnected");
        order.close();
      }
      if (message === "fill") main.post("fill again");
      else one?.cancel("deadline");
    },
  },
];
