"""A network that can be cut: relay.py PORT TARGET FILE carries connections from PORT to TARGET, both of 127.0.0.1.

While FILE is there nothing gets through and nobody is told: what is sent is taken and dropped, and neither end hears that
the other one has gone. A connection that has lost something so stays silent for ever; others go on when FILE is gone.
"""

import os
import socket
import sys
import threading

port, target, file = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


class Link:
    """One connection, from one end to the other."""

    def __init__(self, near, far):
        self.is_cut = False
        self.ends = [near, far]
        self.open = 2
        self.lock = threading.Lock()

    def carry(self, source, to):
        """Carries what comes from one end, until that end closes."""
        while data := self.receive(source):
            self.is_cut = self.is_cut or os.path.exists(file)
            if not self.is_cut:
                self.send(to, data)
        self.is_cut = self.is_cut or os.path.exists(file)
        if not self.is_cut:
            self.end(to)
        with self.lock:
            self.open -= 1
            if self.open == 0:
                for end in self.ends:
                    end.close()

    @staticmethod
    def receive(source):
        try:
            return source.recv(65536)
        except OSError:
            return b""

    @staticmethod
    def send(to, data):
        try:
            to.sendall(data)
        except OSError:
            pass

    @staticmethod
    def end(to):
        try:
            to.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def connect(near):
    try:
        far = socket.create_connection(("127.0.0.1", target))
    except OSError:
        near.close()
        return
    link = Link(near, far)
    for source, to in [(near, far), (far, near)]:
        threading.Thread(target=link.carry, args=(source, to), daemon=True).start()


listening = socket.create_server(("127.0.0.1", port), backlog=64)
while True:
    near, _ = listening.accept()
    connect(near)
