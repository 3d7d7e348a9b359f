import type { OperatorActionName } from "../orders/operator-journal.ts";

/** An operator did something that is kept. The fields are for the log; `actor` as of `actorOf`. */
export type OnAction = (fields: { readonly actor: string; readonly action: OperatorActionName; readonly [field: string]: unknown }) => void;
