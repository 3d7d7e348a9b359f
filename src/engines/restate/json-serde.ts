import { type Serde, serde } from "@restatedev/restate-sdk";

/** For calls by name. The cast says only that its optional field may be undefined. */
export const JSON_SERDE = serde.json as Serde<unknown>;
