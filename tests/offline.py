"""Run a command where nothing outside this machine can be reached: unshare --net python offline.py FOLDER COMMAND …"""

import fcntl
import os
import socket
import struct
import sys

if __name__ == "__main__":
    # In a new namespace even the way to oneself is shut, and a notebook's kernel talks over it.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: up, running
    os.chdir(sys.argv[1])
    os.execv(sys.argv[2], sys.argv[2:])
