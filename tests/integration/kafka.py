"""Apache Kafka for tests: one KRaft process from Maven Central's jars, to be killed and started again."""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Self

from streams import clients
from streams.broker import HOST, free_port
from streams.errors import BrokerUnavailableError
from streams.guarded import GuardedProcess
from streams.settings.sections import Broker

VERSION = "4.1.1"
ARTIFACT = f"org.apache.kafka:kafka_2.13:{VERSION}"
START = timedelta(seconds=150)

_CLUSTER_ID = "a2VlcHN0cmVhbS10ZXN0cw"
_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>keepstream</groupId><artifactId>kafka-for-tests</artifactId><version>1</version>
<dependencies><dependency>
<groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version>
</dependency><dependency>
<groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.24.3</version>
</dependency></dependencies></project>
"""
_LOGGING = """<Configuration status="WARN"><Appenders><Console name="C" target="SYSTEM_OUT">
<PatternLayout pattern="%d %p %m (%c)%n"/></Console></Appenders>
<Loggers><Root level="WARN"><AppenderRef ref="C"/></Root></Loggers></Configuration>
"""
_PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "auto.create.topics.enable": "false",
    # A broker that was killed may come back only after its old session has ended.
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "2000",
}
_JVM = ("-Xmx512m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


def cache_directory() -> Path:
    """Where the jars are kept between runs."""
    base = os.environ.get("KEEPSTREAM_CACHE_DIR") or "~/.cache/keepstream"
    return Path(base).expanduser() / f"kafka-{VERSION}"


def missing() -> str | None:
    """Return why Apache Kafka cannot run here, or None."""
    if shutil.which("java") is None:
        return "Apache Kafka needs Java 17, and there is no java"
    shown = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', shown)
    if not found or int(found[1]) < 17:
        return f"Apache Kafka needs Java 17, and there is {shown.splitlines()[0] if shown else 'none'}"
    if shutil.which("mvn") is None and not (cache_directory() / "libs").is_dir():
        return "Apache Kafka's jars are fetched by Maven, and there is no mvn"
    return None


def jars() -> Path:
    """Return the directory of the jars, fetched once."""
    return once(cache_directory(), "libs", _fetch)


def formatted() -> Path:
    """Return a data directory as the storage tool leaves it, made once: a JVM for it takes seconds."""
    jars()
    return once(cache_directory(), "formatted", _format)


def once(cache: Path, name: str, make: Callable[[Path], None]) -> Path:
    """Make an entry of the cache under another name and rename it when it is whole; others wait."""
    cache.mkdir(parents=True, exist_ok=True)
    entry = cache / name
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not entry.is_dir():
            with tempfile.TemporaryDirectory(dir=cache) as work:
                make(Path(work))
                Path(work, name).rename(entry)
    return entry


def _fetch(work: Path) -> None:
    (work / "pom.xml").write_text(_POM)
    fetch = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=libs"]
    subprocess.run(fetch, cwd=work, check=True, timeout=600)


def _format(work: Path) -> None:
    listener = {"listeners": f"CONTROLLER://{HOST}:1", "controller.quorum.voters": f"1@{HOST}:1"}
    properties = _PROPERTIES | listener | {"process.roles": "controller", "log.dirs": "formatted"}
    (work / "server.properties").write_text(_lines(properties))
    java = ["java", *_JVM, "-cp", f"{cache_directory() / 'libs'}/*", "kafka.tools.StorageTool", "format"]
    arguments = ["-t", _CLUSTER_ID, "-c", "server.properties"]
    subprocess.run([*java, *arguments], cwd=work, check=True, capture_output=True, timeout=300)


def _urls(listeners: Mapping[str, str]) -> str:
    return ",".join(f"{name}://{address}" for name, address in listeners.items())


def _lines(properties: Mapping[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in properties.items())


class KafkaServer:
    """One Apache Kafka broker and controller in one process.

    Parameters
    ----------
    directory
        For its log, configuration and output; a second server on it goes on where the first ended.
    overrides
        Server properties on top of those for tests.
    """

    def __init__(self, directory: Path, overrides: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self._overrides = dict(overrides or {})
        self._port = free_port()
        self._process: GuardedProcess | None = None
        self._listeners = {
            "PLAINTEXT": ("PLAINTEXT", self.bootstrap_servers),
            "CONTROLLER": ("PLAINTEXT", f"{HOST}:{free_port()}"),
        }
        self._advertised: dict[str, str] = {}

    def add_listener(self, name: str, protocol: str, advertised: str | None = None) -> str:
        """Add a listener, before the first start, and return its address.

        Clients that come by it are told to go on at `advertised`, so that something may stand between.
        """
        self._listeners[name] = (protocol, f"{HOST}:{free_port()}")
        if advertised is not None:
            self._advertised[name] = advertised
        return self._listeners[name][1]

    @property
    def bootstrap_servers(self) -> str:
        """Address for clients; the same after a restart."""
        return f"{HOST}:{self._port}"

    @property
    def data(self) -> Path:
        """Where its log lies, a directory for every partition."""
        return self.directory / "data"

    @property
    def pid(self) -> int:
        """Process id of the Java process; 0 while none runs."""
        return self._process.pid if self._process else 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, on the data and port it had, and return when it answers."""
        self.launch()
        self.wait()

    def wait(self) -> None:
        """Return when it answers."""
        until = time.monotonic() + START.total_seconds()
        while not self._answers():
            if not self.pid or time.monotonic() > until:
                said = "\n".join(self._process.said()[-20:]) if self._process else ""
                raise BrokerUnavailableError(f"Apache Kafka did not start in {self.directory}:\n{said}")

    def launch(self) -> None:
        """Start it without waiting for its answer."""
        assert not self.pid, "it runs already"
        configuration = self._configure()
        self._process = GuardedProcess(
            [*self._java(*_JVM), "kafka.Kafka", configuration], self.directory / "kafka.log"
        )

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def is_running(self) -> bool:
        """Return whether the process lives; it ends by itself when it cannot write its log."""
        return self._process is not None and self._process.is_running()

    def stop(self) -> None:
        """End it cleanly."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def _answers(self) -> bool:
        try:
            clients.wait_for_broker(
                Broker(bootstrap_servers=self.bootstrap_servers), timedelta(seconds=2), say=lambda _: None
            )
        except BrokerUnavailableError:
            return False
        return True

    def _java(self, *flags: str) -> list[str | Path]:
        logging = f"-Dlog4j2.configurationFile={self.directory / 'log4j2.xml'}"
        return ["java", *flags, logging, "-cp", f"{jars()}/*"]

    def _configure(self) -> Path:
        file = self.directory / "server.properties"
        if file.exists():
            return file
        self.directory.mkdir(parents=True, exist_ok=True)
        Path(self.directory, "log4j2.xml").write_text(_LOGGING)
        listeners = {name: address for name, (_, address) in self._listeners.items()}
        advertised = {name: address for name, address in listeners.items() if name != "CONTROLLER"}
        protocols = [f"{name}:{protocol}" for name, (protocol, _) in self._listeners.items()]
        properties = _PROPERTIES | {
            "controller.quorum.voters": f"1@{self._listeners['CONTROLLER'][1]}",
            "listeners": _urls(listeners),
            "advertised.listeners": _urls(advertised | self._advertised),
            "listener.security.protocol.map": ",".join(protocols),
            "log.dirs": str(self.data),
            **self._overrides,
        }
        file.write_text(_lines(properties))
        shutil.copytree(formatted(), self.data)
        return file
