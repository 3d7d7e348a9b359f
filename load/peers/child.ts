// Measures one peer in a process of its own, which a bench forks: `child.ts PEER memory` or `child.ts PEER SECONDS`.
import { measure, measureMemory } from "./measure.ts";
import { PEERS } from "./peers.ts";

const [name = "", what] = process.argv.slice(2);
const peer = PEERS[name];
if (peer === undefined) throw new Error(`there is no peer "${name}"`);
// Whoever asked has gone.
process.once("disconnect", () => process.exit(1));
const answer = what === "memory" ? await measureMemory(peer) : await measure(peer, Number(what));
process.send?.(answer, () => process.exit(0));
