"""A link whose packets are late and out of order, for kernels without netem.

Joins two interfaces of the network namespace it runs in: what one receives is sent out of the other a while later, each packet after a delay of
its own, so that they overtake one another. Ends when its standard input does. Takes the right to open packet sockets.

    ip netns exec NAMESPACE python3 disturbed_link.py INTERFACE INTERFACE DELAY_MS JITTER_MS
"""

import heapq
import random
import select
import socket
import sys
import time

# linux/if_packet.h; packets come with a header that tells of checksums and segments which are still to be made, and are sent with it again.
SOL_PACKET, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING, ETH_P_ALL = 263, 15, 23, 3
LARGEST = 1 << 17


def attach(interface):
    """A socket for all packets of an interface."""
    one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    one.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    one.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    one.bind((interface, ETH_P_ALL))
    one.setblocking(False)
    return one


def main(left, right, delay_ms, jitter_ms):
    ends = [attach(left), attach(right)]
    late = []
    count = 0
    print("joined", flush=True)
    while True:
        now = time.monotonic()
        wait = max(0.0, late[0][0] - now) if late else None
        ready, _, _ = select.select([*ends, sys.stdin], [], [], wait)
        if sys.stdin in ready:
            return
        now = time.monotonic()
        for at, end in enumerate(ends):
            if end in ready:
                try:
                    packet = end.recv(LARGEST)
                except OSError:
                    # The interface is being taken away or set up.
                    continue
                due = now + max(0.0, delay_ms + random.uniform(-jitter_ms, jitter_ms)) / 1000
                count += 1
                heapq.heappush(late, (due, count, 1 - at, packet))
        while late and late[0][0] <= now:
            _, _, to, packet = heapq.heappop(late)
            try:
                ends[to].send(packet)
            except OSError:
                # As a network does: what cannot be sent now is lost.
                pass


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
