import { isIP } from "node:net";

export interface KnownHostsOptions {
  /** The listener is on loopback: `localhost` is a name of it. */
  readonly loopback: boolean;
  /** Further names, without ports. */
  readonly names: readonly string[];
  /** Every name is taken: somebody in front, such as a load balancer, decides what comes here. */
  readonly anyName: boolean;
}

// A server has few names; only somebody who tries addresses or ports makes more, and pays for looking at them anew.
const MAX_SEEN = 64;
// A name, an IPv4 address or an IPv6 address in brackets; then perhaps a port.
const HOST = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::\d{1,5})?$/;

/**
 * The values of `Host` that a listener answers for. In DNS rebinding a page's own name suddenly leads to this machine, and
 * its browser takes the answers for that page's own; but it still sends that name as `Host`. An address cannot be rebound.
 */
export class KnownHosts {
  readonly #names: ReadonlySet<string>;
  readonly #anyName: boolean;
  readonly #seen = new Set<string>();
  // Nearly every request brings what the one before it brought.
  #last: string | undefined;

  constructor({ loopback, names, anyName }: KnownHostsOptions) {
    this.#names = new Set([...(loopback ? ["localhost"] : []), ...names.map((name) => name.toLowerCase())]);
    this.#anyName = anyName;
  }

  /** `host`: the header as it was sent. */
  has(host: string): boolean {
    if (host === this.#last) return true;
    // Several in one, which is what becomes of a repeated header, are none.
    if (this.#anyName) return !host.includes(",");
    if (!this.#seen.has(host)) {
      if (!this.#isKnown(host)) return false;
      if (this.#seen.size < MAX_SEEN) this.#seen.add(host);
    }
    this.#last = host;
    return true;
  }

  /** How many values it need not look at again. */
  get remembered(): number {
    return this.#seen.size;
  }

  #isKnown(host: string): boolean {
    const [, ipv6, name] = HOST.exec(host) ?? [];
    if (ipv6 !== undefined) return isIP(ipv6) === 6;
    if (name === undefined) return false;
    // A dot at the end only says that the name is complete.
    return isIP(name) === 4 || this.#names.has(name.toLowerCase().replace(/\.$/, ""));
  }
}
