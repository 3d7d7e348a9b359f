import { MAIN } from "./control-words.ts";
import type { MainRole } from "./main-role.ts";
import type { Scenario } from "./scenario.ts";
import type { TestedGroup } from "./tested-group.ts";

// Of the schedule that is being tried; begun anew with each.
let [one, two]: (TestedGroup | undefined)[] = [];

function begin(main: MainRole): void {
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

/** Those in which more is logged than the log holds. */
export const LOG_SCENARIOS: readonly Scenario[] = [
  {
    name: "a listener falls behind by more than the log holds",
    threads: 3,
    preemptions: 1,
    last: [MAIN, 2],
    begin(main) {
      begin(main);
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
      begin(main);
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
