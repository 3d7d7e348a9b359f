import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";

// A name, an IPv4 address or an IPv6 address in brackets; then perhaps a port.
const HOST = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::\d{1,5})?$/;

/**
 * Whether a listener accepts a value of `Host`, against DNS rebinding: an attacker lets the name of a page resolve to this machine, but the
 * browser still sends that name. An IP address cannot be rebound. `names`: further names, without ports. `anyName`: a load balancer in front
 * decides what arrives here.
 */
export type IsKnownHost = (host: string) => boolean;

export function knownHosts(loopback: boolean, names: readonly string[], anyName: boolean): IsKnownHost {
  const known = new Set([...(loopback ? ["localhost"] : []), ...names.map((name) => name.toLowerCase())]);
  return (host) => {
    // A repeated header arrives joined by commas and is no name.
    if (anyName) return !host.includes(",");
    const [, ipv6, name] = HOST.exec(host) ?? [];
    if (ipv6 !== undefined) return isIP(ipv6) === 6;
    // A dot at the end marks a fully qualified name.
    return name !== undefined && (isIP(name) === 4 || known.has(name.toLowerCase().replace(/\.$/, "")));
  };
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8);
loopback.addAddress("::1", "ipv6");

/** Whether an address, or all addresses of a name, are on loopback. A name without one does not count: it may have one a moment later. */
export async function isOnLoopback(host: string): Promise<boolean> {
  if (isIP(host) !== 0) return isLoopbackAddress(host);
  const addresses = await lookup(host, { all: true }).catch(() => []);
  return addresses.length > 0 && addresses.every(({ address }) => isLoopbackAddress(address));
}

export function isLoopbackAddress(address: string): boolean {
  // A BlockList also matches IPv4-mapped IPv6 addresses (`::ffff:127.0.0.1`).
  return loopback.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}
