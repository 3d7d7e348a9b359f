/** Where the distributed engine would call this node cannot be listened on. One line that names the setting. */
export class EndpointError extends Error {}
