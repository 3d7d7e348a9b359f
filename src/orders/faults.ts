/** Where faults are told that the service gets over by itself, for the log. `fields` say which order they concern. */
export type OnFault = (message: string, error: unknown, fields?: Readonly<Record<string, unknown>>) => void;
