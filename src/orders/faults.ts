/** Logs a fault that the service recovers from by itself. `fields` say which order it concerns. */
export type OnFault = (message: string, error: unknown, fields?: Readonly<Record<string, unknown>>) => void;
