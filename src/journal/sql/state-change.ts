import { TRANSITIONS, type Transition } from "../../orders/compensation-state.ts";

/** SQL that changes the state of the compensations `which` holds for, where the table of transitions allows it, and sets `more`. */
export function stateChange(transition: Transition, more: string, which: string): string {
  const { from, to } = TRANSITIONS[transition];
  return `UPDATE compensations SET state = '${to}', ${more} WHERE ${which} AND state IN ('${from.join("', '")}')`;
}
