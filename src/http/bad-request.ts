/** A request that breaks a rule; the message names field and rule and goes to the client. */
export class BadRequest extends Error {}
