import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";

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
