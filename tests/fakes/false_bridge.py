"""A bridge without a cluster: `false_bridge.py DESCRIPTOR FOLDER`, which does what FOLDER says.

Each picture it gets is one of the words below, and it does that. The file `verdict` in FOLDER, if
there is one, is what it tells of the cluster, and with `begins` it knows nothing of that yet; each
bridge adds its process id to `pids`.
"""

import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import numpy as np

from openrembg.server.inference import frames
from openrembg.server.inference.frames import Identity, Kind, Verdict

READY = Verdict("ready", by=Identity("far", "Far CPU f32", "f32"), replicas=2)
TROUBLES = {word.encode(): word for word in frames.TROUBLES}


def exactly(line: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = line.recv(size - len(data))
        if not more:
            os._exit(0)
        data += more
    return data


def send(line: socket.socket, kind: Kind, call: int, data: bytes) -> None:
    line.sendall(frames.head(kind, call, len(data)) + data)


def obey(line: socket.socket, call: int, word: bytes) -> None:
    if word in TROUBLES:
        note = frames.written_trouble(TROUBLES[word], "so it is", retried=True)  # type: ignore[arg-type]
        send(line, Kind.TROUBLE, call, note)
    elif word == b"die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif word == b"stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif word == b"garbage":
        line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 100)
    elif word == b"huge":
        line.sendall(frames.head(Kind.MATTE, call, frames.MOST_BYTES + 1))
    elif word == b"misshapen":
        note = json.dumps({"shape": [7, 7], "detected": True, "retried": False}).encode()
        send(line, Kind.MATTE, call, len(note).to_bytes(4, "big") + note + b"1234")
    elif word != b"silence":
        note = {"shape": [2, 3], "detected": True, "retried": False}
        note |= {"model": "near", "provider": "Near CPU f32", "precision": "f32"}
        alpha = np.arange(6, dtype=np.float32) / 8
        send(line, Kind.MATTE, call, frames.written_answer(note, alpha.tobytes()))


def tell(line: socket.socket, folder: Path) -> None:
    told = folder / "verdict"
    while True:
        verdict = READY
        if told.exists():
            verdict = Verdict("failed", told.read_text(), replicas=0)
        if (folder / "begins").exists():
            verdict = Verdict("loading", "It is being joined.")
        send(line, Kind.VERDICT, 0, frames.written_verdict(verdict))
        time.sleep(0.05)


def main() -> None:
    line, folder = socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2])
    with (folder / "pids").open("a") as file:
        file.write(f"{os.getpid()}\n")
    threading.Thread(target=tell, args=(line, folder), daemon=True).start()
    while True:
        head = frames.read_head(exactly(line, frames.HEAD_BYTES))
        obey(line, head.call, exactly(line, head.size))


if __name__ == "__main__":
    main()
