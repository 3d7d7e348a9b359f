/** How many levels of urgency there are: 0 is the most urgent, 7 the least (RFC 9218). */
export const URGENCIES = 8;

/** The urgency of a request that names none. */
export const DEFAULT_URGENCY = 3;
