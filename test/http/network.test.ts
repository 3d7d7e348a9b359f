import { describe, expect, test } from "vitest";
import { networkOf } from "../../src/http/network.ts";

describe("the network of an address", () => {
  test.each([
    ["127.0.0.1", "127.0.0.1"],
    ["0.0.0.0", "0.0.0.0"],
    ["255.255.255.255", "255.255.255.255"],
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["2001:db8::1", "2001:db8:0:0"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
    ["2001:db8:0:2::", "2001:db8:0:2"],
    ["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff"],
    ["::1", "0:0:0:0"],
    ["::2:3:4:5:6:7:8", "0:2:3:4"],
    ["1::5:6:7:8", "1:0:0:0"],
    ["1::3:4:5:6:7:8", "1:0:3:4"],
    ["fe80::1%eth0", "fe80:0:0:0"],
    ["64:ff9b::192.0.2.1", "64:ff9b:0:0"],
  ])("%s", (address, network) => {
    expect(networkOf(address)).toBe(network);
  });

  test("is the same for all of an IPv6 network of 64 bits, and another beside it", () => {
    expect(networkOf("2001:db8:1:2::1")).toEqual(networkOf("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    expect(networkOf("2001:db8:1:2::1")).not.toEqual(networkOf("2001:db8:1:3::1"));
    expect(networkOf("192.0.2.1")).not.toEqual(networkOf("192.0.2.2"));
  });

  test("that is gone already is one as well", () => {
    expect(networkOf(undefined)).toBe("");
  });
});
