import { atLeast, atMost, type Target } from "../target.ts";
import { OWN } from "./peers.ts";
import { losses, type Rounds } from "./rows.ts";

/** What the library has to show, whatever its peers do and however fast the machine is. */
export function targetsOf(all: readonly Rounds[]): Target[] {
  const own = all.find(({ name }) => name === OWN);
  if (own === undefined) throw new Error("the library itself was not measured");
  const { cancelsBeside, innocents, threads } = losses(own);
  return [
    atLeast("cancels of this library beside innocents", cancelsBeside, 1),
    atMost("innocents that it lost by them", innocents, 0),
    atMost("threads that it lost", threads, 0),
  ];
}
