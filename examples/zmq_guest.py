"""Joins a cluster with nothing but pyzmq: hears a greeting, and answers it.

python3 examples/zmq_guest.py tcp://127.0.0.1:7000 tcp://127.0.0.1:7001    # what `zmq_guest` prints
"""

import sys

import msgpack
import zmq

hear, say = sys.argv[1:3]
context = zmq.Context()
mouth = context.socket(zmq.XPUB)
mouth.connect(say)
mouth.recv()  # The node has subscribed: from now on nothing that we say is lost.
ears = context.socket(zmq.SUB)
ears.connect(hear)
ears.subscribe("greeting")
name, header, payload = ears.recv_multipart()
answer = f"Python heard {msgpack.unpackb(payload)!r} of node {msgpack.unpackb(header)['source']}"
mouth.send_multipart([b"answer", msgpack.packb({"version": 1, "codec": 1}), msgpack.packb(answer)])
context.destroy(linger=5000)
