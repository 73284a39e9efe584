"""`python -m worker.runner DESCRIPTOR`: a spare, which gets its orders over the socket of that number."""

import socket
import sys

from worker.runner.spare import serve

if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
