"""Run a command with no network, and note where it wanted to go: unshare --net python watched.py LOG COMMAND …

All addresses lead back to this machine, where nobody answers, and every packet to one that is not its own is noted. So
compiled code is seen too, which no wrapper around Python's sockets would see.
"""

import fcntl
import ipaddress
import select
import socket
import struct
import subprocess
import sys

WHERE = {0x0800: slice(16, 20), 0x86DD: slice(24, 40)}  # of the destination, in a packet of IPv4 and of IPv6


def open_loopback() -> None:
    """Start the way to oneself, and lead every address to it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: up, running
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as routes:
        for family in (socket.AF_INET, socket.AF_INET6):
            # For 0 bits of address, that is all; main table (254), by hand (4), within this host (254), local (2).
            route = struct.pack("=8BI", family, 0, 0, 0, 254, 4, 254, 2, 0)
            route += struct.pack("=HHI", 8, 4, socket.if_nametoindex("lo"))  # by which device
            routes.send(struct.pack("=IHHII", 16 + len(route), 24, 0x1 | 0x400 | 0x4, 1, 0) + route)  # 24: a new route
            (failed,) = struct.unpack_from("=i", routes.recv(4096), 16)
            if failed and family == socket.AF_INET:  # some machines have no IPv6 at all
                raise OSError(-failed, "the route that leads all addresses back was refused")


def main(log: str, *command: str) -> int:
    open_loopback()
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3)) as wire, open(log, "a") as noted:
        process = subprocess.Popen(command)
        while process.poll() is None or select.select([wire], [], [], 0)[0]:  # to the last packet
            if not select.select([wire], [], [], 0.2)[0]:
                continue
            packet, (_, kind, *_) = wire.recvfrom(65535)
            if kind in WHERE and not (target := ipaddress.ip_address(packet[WHERE[kind]])).is_loopback:
                print("packet to", target, file=noted, flush=True)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
