import { isIP } from "node:net";

export interface KnownHostsOptions {
  /** The listener is on loopback: `localhost` is a name of it. */
  readonly loopback: boolean;
  /** Further names, without ports. */
  readonly names: readonly string[];
  /** Every name is taken: somebody in front, such as a load balancer, decides what comes here. */
  readonly anyName: boolean;
}

// A name, an IPv4 address or an IPv6 address in brackets; then perhaps a port.
const HOST = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::\d{1,5})?$/;

/**
 * The values of `Host` that a listener answers for. In DNS rebinding a page's own name suddenly leads to this machine, and
 * its browser takes the answers for that page's own; but it still sends that name as `Host`. An address cannot be rebound.
 */
export class KnownHosts {
  readonly #names: ReadonlySet<string>;
  readonly #anyName: boolean;

  constructor({ loopback, names, anyName }: KnownHostsOptions) {
    this.#names = new Set([...(loopback ? ["localhost"] : []), ...names.map((name) => name.toLowerCase())]);
    this.#anyName = anyName;
  }

  /** `host`: the header as it was sent. */
  has(host: string): boolean {
    // A repeated header arrives joined by commas and is no name.
    if (this.#anyName) return !host.includes(",");
    const [, ipv6, name] = HOST.exec(host) ?? [];
    if (ipv6 !== undefined) return isIP(ipv6) === 6;
    if (name === undefined) return false;
    // A dot at the end only says that the name is complete.
    return isIP(name) === 4 || this.#names.has(name.toLowerCase().replace(/\.$/, ""));
  }
}
