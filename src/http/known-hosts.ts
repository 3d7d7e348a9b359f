import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";

export interface KnownHostsOptions {
  /** The listener is on loopback, so `localhost` is one of its names. */
  readonly loopback: boolean;
  /** Further names, without ports. */
  readonly names: readonly string[];
  /** Every name is allowed: a load balancer in front decides what arrives here. */
  readonly anyName: boolean;
}

// A name, an IPv4 address or an IPv6 address in brackets; then perhaps a port.
const HOST = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::\d{1,5})?$/;

/**
 * The values of `Host` that a listener accepts, against DNS rebinding: an attacker lets the name of a page resolve to this machine, and the
 * browser takes this server's answers for the page's own. But the browser still sends that name as `Host`. An IP address cannot be rebound. Main
 * thread only.
 */
export class KnownHosts {
  readonly #names: ReadonlySet<string>;
  readonly #anyName: boolean;

  constructor({ loopback, names, anyName }: KnownHostsOptions) {
    this.#names = new Set([...(loopback ? ["localhost"] : []), ...names.map((name) => name.toLowerCase())]);
    this.#anyName = anyName;
  }

  /** Whether the listener accepts this `Host` header. */
  has(host: string): boolean {
    // A repeated header arrives joined by commas and is no name.
    if (this.#anyName) return !host.includes(",");
    const [, ipv6, name] = HOST.exec(host) ?? [];
    if (ipv6 !== undefined) return isIP(ipv6) === 6;
    if (name === undefined) return false;
    // A dot at the end marks a fully qualified name.
    return isIP(name) === 4 || this.#names.has(name.toLowerCase().replace(/\.$/, ""));
  }
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8);
loopback.addAddress("::1", "ipv6");

/**
 * Whether an address or a host name is on loopback. A name is when all its addresses are. A name without an address counts, too: nothing can
 * listen on it.
 */
export async function isOnLoopback(host: string): Promise<boolean> {
  if (isIP(host) !== 0) return isLoopbackAddress(host);
  const addresses = await lookup(host, { all: true }).catch(() => []);
  return addresses.every(({ address }) => isLoopbackAddress(address));
}

function isLoopbackAddress(address: string): boolean {
  // A BlockList also matches IPv4-mapped IPv6 addresses (`::ffff:127.0.0.1`).
  return loopback.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}
