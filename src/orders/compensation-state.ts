/** The states of a compensation, as they are stored and shown. `held`: after a restore; `settled`: dealt with by hand. */
export const COMPENSATION_STATES = ["pending", "trying", "held", "done", "settled"] as const;

export type CompensationStatus = (typeof COMPENSATION_STATES)[number];

/** Those of what has to be compensated still. */
export const OPEN_STATES = ["pending", "trying", "held"] as const satisfies readonly CompensationStatus[];

/** What changes a state: from which states, to which one. docs/architecture.md draws this table. */
export const TRANSITIONS = {
  taken: { from: ["pending"], to: "trying" },
  /** The provider promised that the step is taken back. */
  done: { from: ["trying"], to: "done" },
  failed: { from: ["trying"], to: "pending" },
  /** The process that tried it has ended. */
  interrupted: { from: ["trying"], to: "pending" },
  /** The journal came from a backup: what has become of it since is unknown. */
  restored: { from: ["pending", "trying"], to: "held" },
  confirmed: { from: ["held"], to: "pending" },
  settled: { from: ["pending", "held"], to: "settled" },
} as const satisfies Readonly<Record<string, { readonly from: readonly CompensationStatus[]; readonly to: CompensationStatus }>>;

export type Transition = keyof typeof TRANSITIONS;
