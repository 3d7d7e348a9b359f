export interface StepError {
  /** HTTP, 400 to 599. */
  readonly status: number;
  /** When a client gets it: a phrase for the documents, code in backticks. */
  readonly when: string;
}

/** One of the two calls at a step's provider: `POST {URL}/{path}`. */
export interface ProviderRequest<Acts extends string = string> {
  /** Differs from the path of every other call of every step, so that one address can stand for several providers. */
  readonly path: string;
  /** Whether the body carries the order's amount; it always carries its id. */
  readonly hasAmount: boolean;
  /** The name under which the stand-in's ledger counts calls that had their effect: "charges". */
  readonly acts: Acts;
}

/** Everything that distinguishes one step from the others. Plain data, which every thread may read. */
export interface StepDefinition<Kind extends string = string, Acts extends string = string> {
  /** Who is called: "payment provider". */
  readonly provider: string;
  readonly perform: ProviderRequest<Acts>;
  readonly compensate: ProviderRequest<Acts>;
  /** How many may run at one time: the default and the limits of `NAME_CAPACITY`, and what it counts. */
  readonly capacity: { readonly byDefault: number; readonly atMost: number; readonly counts: string };
  /** Its code on the thread computes for long: it gets a thread of its own, for on a shared one it would hold up all others there. */
  readonly computes?: boolean;
  readonly simulated: { readonly delayMs: number; readonly failsWith: Kind };
  readonly errors: Readonly<Record<Kind, StepError>>;
  /** The error kind of an answer other than 2xx, and of no answer. */
  readonly meaning: {
    /** By status: answers that refuse this order. */
    readonly statuses: Readonly<Record<number, Kind>>;
    /** Any other status that a provider sends only before it acts (`DEFINITE` in `workers/providers/http.ts`). */
    readonly definite: Kind | "internal";
    /** Any other status: the call is in doubt. */
    readonly other: Kind | "internal";
    readonly unreachable: Kind | "internal";
    readonly circuitOpen: Kind;
    /** A 5xx with which the provider refuses this order and works itself, unless `Retry-After` comes with it. */
    readonly healthy?: number;
  };
}

/** Makes the compiler check that a step names only its own error kinds and `internal`. */
export function defineStep<const Kind extends string, const Acts extends string>(
  definition: StepDefinition<Kind, Acts>,
): StepDefinition<Kind, Acts> {
  return definition;
}
