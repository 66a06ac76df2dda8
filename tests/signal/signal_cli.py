"""signal-cli as a program, for the real service to run: it hands its arguments to the stand-in.

The test copies this file to where the service looks for `signal-cli`. The stand-in's door (its
address is in SIGNAL_STAND_IN_DOOR) does what it asks and says what to print; a program that is
killed leaves the door, and what it had taken is gone.
"""

import json
import os
import socket
import sys


def main() -> int:
    host, port = os.environ["SIGNAL_STAND_IN_DOOR"].split(":")
    stdin = sys.stdin.read() if "--message-from-stdin" in sys.argv else ""
    body = json.dumps({"arguments": sys.argv[1:], "stdin": stdin}).encode()
    with socket.create_connection((host, int(port))) as door:
        head = f"POST /stand-in/run HTTP/1.0\r\nhost: {host}\r\ncontent-length: {len(body)}\r\n\r\n"
        door.sendall(head.encode() + body)
        with door.makefile("rb") as answer:
            while answer.readline().strip():
                pass
            for line in answer:
                said = json.loads(line)
                if "exit" in said:
                    return int(said["exit"])
                for name, stream in (("out", sys.stdout), ("err", sys.stderr)):
                    if name in said:
                        stream.write(said[name] + "\n")
                        stream.flush()
    return 2


if __name__ == "__main__":
    sys.exit(main())
