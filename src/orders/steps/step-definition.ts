/** An error kind that a step brings along, as clients see it. */
export interface StepError {
  /** HTTP, 400 to 599. */
  readonly status: number;
  /** When it comes: a phrase for documents, code in backticks. */
  readonly when: string;
}

/** One of the two calls at a step's provider: `POST {URL}/{path}`. */
export interface ProviderRequest<Acts extends string = string> {
  /** No other call of any step has the same, so that one address can stand for several providers. */
  readonly path: string;
  /** Whether the body carries the order's amount; it always carries its id. */
  readonly hasAmount: boolean;
  /** What a provider calls such an act once it has been done, in the plural: "charges". The stand-in counts them under this name. */
  readonly acts: Acts;
}

/** Everything that distinguishes one step from the others. Plain data, which every thread may read. */
export interface StepDefinition<Kind extends string = string, Acts extends string = string> {
  /** Who does it: "payment provider". */
  readonly provider: string;
  readonly perform: ProviderRequest<Acts>;
  readonly compensate: ProviderRequest<Acts>;
  /** How many may run at one time: the default and the limits of `NAME_CAPACITY`, and what it counts. */
  readonly capacity: { readonly byDefault: number; readonly atMost: number; readonly counts: string };
  /** A simulated provider: how long it takes unless the order says so, and how it fails. */
  readonly simulated: { readonly delayMs: number; readonly failsWith: Kind };
  /** The error kinds that only this step fails with. */
  readonly errors: Readonly<Record<Kind, StepError>>;
  /** What it means that the provider does not answer 2xx. */
  readonly meaning: {
    /** Answers that say no to this order. */
    readonly statuses: Readonly<Record<number, Kind>>;
    /** Any other answer that a provider surely gives before it acts. */
    readonly definite: Kind | "internal";
    /** Any other answer. */
    readonly other: Kind | "internal";
    readonly unreachable: Kind | "internal";
    readonly circuitOpen: Kind;
    /** A status of the provider's that says no to this order though it looks like an illness, unless it says when to ask again. */
    readonly healthy?: number;
  };
}

/** Has the compiler check that a step names no error kind but its own and `internal`. */
export function defineStep<const Kind extends string, const Acts extends string>(
  definition: StepDefinition<Kind, Acts>,
): StepDefinition<Kind, Acts> {
  return definition;
}
