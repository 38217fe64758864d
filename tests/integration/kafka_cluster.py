"""Three Apache Kafka brokers, so that leaders and coordinators can move when one of them is killed."""

import base64
import re
import uuid
from pathlib import Path
from typing import Self

from streams.broker import HOST, free_port
from tests.integration.kafka import KafkaServer

_REPLICATED = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
}


class KafkaCluster:
    """Node 1 is controller and broker; nodes 2 and 3 are brokers only and may be killed one at a time.

    Parameters
    ----------
    directory
        One folder below it for each node.
    """

    def __init__(self, directory: Path) -> None:
        controller = f"{HOST}:{free_port()}"
        self.nodes = [_Node(directory / f"node-{number}", number, controller) for number in (1, 2, 3)]

    @property
    def bootstrap_servers(self) -> str:
        """Addresses of all nodes."""
        return ",".join(node.bootstrap_servers for node in self.nodes)

    def __enter__(self) -> Self:
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            node.wait()
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes:
            node.kill()


class _Node(KafkaServer):
    def __init__(self, directory: Path, number: int, controller: str) -> None:
        super().__init__(directory, {**_REPLICATED, "node.id": str(number)})
        self._number = number
        self._overrides["controller.quorum.voters"] = f"1@{controller}"
        if number == 1:
            self._listeners["CONTROLLER"] = ("PLAINTEXT", controller)
        else:
            self._overrides["process.roles"] = "broker"

    def _configure(self) -> Path:
        known = (self.directory / "server.properties").exists()
        file = super()._configure()
        if not known:
            text = file.read_text()
            if self._number != 1:  # a broker alone must not listen as a controller
                text = re.sub(r"(?m)^(listeners=.*?),CONTROLLER://[^,\n]*", r"\1", text)
                file.write_text(text)
            identity = self.directory / "data" / "meta.properties"
            own = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            kept = re.sub(r"(?m)^node\.id=.*$", f"node.id={self._number}", identity.read_text())
            identity.write_text(re.sub(r"(?m)^directory\.id=.*$", f"directory.id={own}", kept))
        return file
