import { BOARD, BOARD_MUTANTS } from "./board-mutants.ts";
import type { Change, Mutant } from "./changed-sources.ts";
import { POOL_MUTANTS } from "./pool-mutants.ts";
import { THREAD_MUTANTS } from "./thread-mutants.ts";
import { WATCH_MUTANTS } from "./watch-mutants.ts";

/** Neighboring generations of the log are all that must differ, so one bit has to do: what takes 256 of them in a program takes two here. */
export const FEW_GENERATIONS: Change = { file: BOARD, from: "const GENERATION_BITS = 8;", to: "const GENERATION_BITS = 1;" };

export const MUTANTS: readonly Mutant[] = [...BOARD_MUTANTS, ...THREAD_MUTANTS, ...POOL_MUTANTS, ...WATCH_MUTANTS];

const CAPACITY = "src/threads/permits/capacity.ts";

/** Of `Capacity`, whose schedules are those of one thread. */
export const CAPACITY_MUTANTS: readonly (Change & { readonly name: string })[] = [
  {
    name: "a cancel between the grant and the waiter's turn does not count",
    file: CAPACITY,
    from: "    if (scope?.cause === undefined) {\n      resolve(",
    to: "    if (scope !== null) {\n      resolve(",
  },
  {
    name: "a permit that was granted to a canceled waiter is lost",
    file: CAPACITY,
    from: "    this.grants.remove(permit);\n    this.#grantToWaiters();\n",
    to: "",
  },
  {
    name: "a waiter that was granted its permit still listens",
    file: CAPACITY,
    from: "      next.subscription?.unsubscribe();\n",
    to: "",
  },
  {
    name: "a canceled waiter keeps its place",
    file: CAPACITY,
    from: "        this.#leave(waiter);\n        reject",
    to: "        reject",
  },
  {
    name: "who comes canceled may have a free permit",
    file: CAPACITY,
    from: "    if (scope?.cause !== undefined) return Promise.reject(new Canceled(scope.cause));\n",
    to: "",
  },
];
