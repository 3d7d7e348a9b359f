import type { Request } from "express";
import type { OperatorActionName, OperatorJournal } from "../orders/operator-journal.ts";
import type { Compensation, OrderJournal } from "../orders/order-journal.ts";
import type { StepName } from "../orders/steps.ts";

/** The parts of the service behind the operator's routes. */
export interface OperatorParts {
  readonly journal: OperatorJournal & Pick<OrderJournal, "find">;
  readonly compensator: {
    /** Resolves when a try has ended and is written down. */
    tryNow(compensation: Compensation): Promise<void>;
    /** Why one that is due is not being tried. */
    waitsFor(step: StepName, tries: number): "probing" | "bulkhead";
  };
  /** Absent where no receiver is configured. */
  readonly webhooks?: WebhookControl;
  /** `directory`: an absolute path; absent without `BACKUP_DIR`. Only a journal in a file has a backup that is made here. */
  readonly backups: { readonly directory?: string; readonly store: "file" | "memory" | "postgres" };
  /** Compensations or events are due that only an operator's act has made so. */
  readonly onDue: () => void;
  /** An operator did something that is kept. The fields are for the log; `actor` as of `actorOf`. */
  readonly onAction: (fields: { readonly actor: string; readonly action: OperatorActionName; readonly [field: string]: unknown }) => void;
}

/** The state and the controls of event delivery. */
export interface WebhookControl {
  /** The origin of the receiver's URL, without the path, which may hold a token. */
  readonly origin: string;
  state(): { readonly receiver: "up" | "down" | "disabled"; readonly inFlight: number };
  /** Delivers again after a 410. */
  resume(): void;
}

/** Who sends a request, as it is kept with what they did: `key` and the key's name, or the address where there are no keys. */
export function actorOf({ res, socket }: Request): string {
  const client = res?.locals.client;
  return client === undefined ? (socket.remoteAddress ?? "unknown") : `key ${client}`;
}
