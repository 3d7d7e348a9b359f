import { isIP } from "node:net";

export interface KnownHostsOptions {
  /** The listener is on loopback, so `localhost` is one of its names. */
  readonly loopback: boolean;
  /** Further names, without ports. */
  readonly names: readonly string[];
  /** Every name is allowed: a load balancer in front decides what arrives here. */
  readonly anyName: boolean;
}

// A server has few names. A client that tries many addresses or ports makes more, and each one beyond this is parsed again.
const MAX_SEEN = 64;
// A name, an IPv4 address or an IPv6 address in brackets; then an optional port.
const HOST = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::\d{1,5})?$/;

/**
 * The values of `Host` that a listener accepts, against DNS rebinding: an attacker lets the name of a page resolve to this machine, and the
 * browser takes this server's answers for the page's own. But the browser still sends that name as `Host`. An IP address cannot be rebound. Main
 * thread only.
 */
export class KnownHosts {
  readonly #names: ReadonlySet<string>;
  readonly #anyName: boolean;
  readonly #seen = new Set<string>();
  // Nearly every request has the same value as the one before it.
  #last: string | undefined;

  constructor({ loopback, names, anyName }: KnownHostsOptions) {
    this.#names = new Set([...(loopback ? ["localhost"] : []), ...names.map((name) => name.toLowerCase())]);
    this.#anyName = anyName;
  }

  /** Whether the listener accepts this `Host` header. */
  has(host: string): boolean {
    if (host === this.#last) return true;
    // Node joins repeated headers with a comma; they are no name.
    if (this.#anyName) return !host.includes(",");
    if (!this.#seen.has(host)) {
      if (!this.#isKnown(host)) return false;
      if (this.#seen.size < MAX_SEEN) this.#seen.add(host);
    }
    this.#last = host;
    return true;
  }

  /** How many values are known without being parsed again. */
  get remembered(): number {
    return this.#seen.size;
  }

  #isKnown(host: string): boolean {
    const [, ipv6, name] = HOST.exec(host) ?? [];
    if (ipv6 !== undefined) return isIP(ipv6) === 6;
    if (name === undefined) return false;
    // A dot at the end marks a fully qualified name.
    return isIP(name) === 4 || this.#names.has(name.toLowerCase().replace(/\.$/, ""));
  }
}
