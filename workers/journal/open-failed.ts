/** The journal cannot be opened for a reason that the operator can mend; the message is that reason. */
export class OpenFailed extends Error {}
