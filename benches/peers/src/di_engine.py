"""One end of DI-engine's way to send: a Bus0 socket of pynng, the event's name and `::` before a pickle.

Says `ready` when it listens. Then takes lines `COUNT MARK` on its standard input: sends COUNT messages with mark 0 and
one with MARK, each as DI-engine's `emit` does, and says `sent`. Says `COUNT MARK` for what it receives: how many with
mark 0, and the mark of the one after them. Its handler is called in the thread that receives; DI-engine hands each
message to a thread pool on top of that.
"""

import os
import pickle
import sys
import threading
import time

import pynng


def main():
    listen_to, attach_to, size, publish_to, subscribe_to = sys.argv[1:6]
    socket = pynng.Bus0()
    socket.recv_max_size = 0
    socket.listen(listen_to)
    if attach_to != "-":
        time.sleep(0.1)
        socket.dial(attach_to)
    threading.Thread(target=receive, args=(socket, subscribe_to), daemon=True).start()
    say("ready")
    rest = b"\xa5" * (int(size) - 8)
    for line in sys.stdin:
        count, mark = map(int, line.split())
        one = bytes(8) + rest
        for _ in range(count):
            publish(socket, publish_to, one)
        publish(socket, publish_to, mark.to_bytes(8, "little") + rest)
        say("sent")
    # Whoever started this has closed its standard input: it is gone.
    os._exit(0)


def say(line):
    # One call, because both threads do.
    os.write(1, (line + "\n").encode())


def publish(socket, event, *args, **kwargs):
    data = pickle.dumps({"a": args, "k": kwargs}, protocol=pickle.HIGHEST_PROTOCOL)
    socket.send((event + "::").encode() + data)


def receive(socket, event):
    count = 0

    def handle(message):
        nonlocal count
        mark = int.from_bytes(message[:8], "little")
        if mark == 0:
            count += 1
            return
        say(f"{count} {mark}")
        count = 0

    while True:
        topic, payload = socket.recv().split(b"::", maxsplit=1)
        if topic.decode() == event:
            payload = pickle.loads(payload)
            handle(*payload["a"], **payload["k"])


main()
