import { BUILT_IN_CAUSES } from "../../src/threads/index.ts";

/** What a user of the library cancels for: the built-in causes, and two of its own. */
export const CAUSES = [...BUILT_IN_CAUSES, "client_disconnected", "shutdown"] as const;

export type Cause = (typeof CAUSES)[number];
