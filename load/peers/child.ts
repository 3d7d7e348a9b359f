// Measures one peer in a process of its own, which the experiment forks: `child.ts PEER memory` or `child.ts PEER SECONDS`.
import { measure, memory } from "./measures.ts";
import { PEERS } from "./pools.ts";

const [name = "", what] = process.argv.slice(2);
const peer = PEERS[name];
if (peer === undefined) throw new Error(`there is no peer "${name}"`);
// Whoever asked has gone.
process.once("disconnect", () => process.exit(1));
const answer = await (what === "memory" ? memory(peer) : measure(peer, Number(what)));
process.send?.(answer, () => process.exit(0));
