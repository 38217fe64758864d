import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

from streams import broker, broker_guard
from streams.broker import EmbeddedBroker, find_binary, free_port
from streams.errors import BrokerUnavailableError
from streams.guarded import GuardedProcess

OWNER = """
import sys, time
from pathlib import Path
from streams.broker import EmbeddedBroker
with EmbeddedBroker(Path(sys.argv[1])) as broker:
    print(broker.pid, flush=True)
    sys.stdin.read()
"""


def is_gone(pid, deadline_s=10):
    until = time.monotonic() + deadline_s
    while time.monotonic() < until:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def owner(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, tmp_path / "broker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


class TestTheBrokerEndsWithItsOwner:
    @pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSEGV])
    def test_whatever_happens_to_the_owner(self, owner, blow):
        pid = int(owner.stdout.readline())
        owner.send_signal(blow)
        owner.wait(20)
        assert is_gone(pid)

    def test_when_the_owner_is_done(self, owner):
        pid = int(owner.stdout.readline())
        owner.communicate("", timeout=20)
        assert owner.returncode == 0
        assert is_gone(pid)

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to a killed parent")
    def test_when_even_the_guard_is_killed(self, owner):
        pid = int(owner.stdout.readline())
        (guard,) = psutil.Process(owner.pid).children()
        guard.kill()
        assert is_gone(pid)


class TestStarting:
    def test_it_answers_once_it_is_started_and_no_more_once_it_is_stopped(self, tmp_path):
        with EmbeddedBroker(tmp_path / "made" / "on the way") as running:
            address = running.bootstrap_servers.split(":")
            socket.create_connection(address).close()
            assert running.is_running()
            assert running.pid
        assert not running.is_running()
        assert running.pid == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)

    def test_a_port_in_use_is_named(self, tmp_path):
        port = free_port()
        with (
            EmbeddedBroker(tmp_path / "first", port),
            pytest.raises(BrokerUnavailableError, match=f"port {port} is already in use"),
        ):
            EmbeddedBroker(tmp_path / "second", port).start()

    def test_a_free_port_lost_to_another_process_is_replaced(self, tmp_path, monkeypatch):
        with EmbeddedBroker(tmp_path / "first") as first:
            taken = int(first.bootstrap_servers.split(":")[1])
            ports = iter([taken, free_port()])
            monkeypatch.setattr(broker, "free_port", lambda: next(ports))
            with EmbeddedBroker(tmp_path / "second") as second:
                assert second.bootstrap_servers != first.bootstrap_servers

    def test_a_directory_in_use_is_named(self, tmp_path):
        with (
            EmbeddedBroker(tmp_path),
            pytest.raises(BrokerUnavailableError, match="already running"),
        ):
            EmbeddedBroker(tmp_path).start()

    def test_without_the_wheel_the_message_says_what_to_do(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "noida_db", None)
        monkeypatch.setattr(broker.importlib.util, "find_spec", lambda _: None)
        with pytest.raises(BrokerUnavailableError, match="KEEPSTREAM_BOOTSTRAP_SERVERS"):
            find_binary()

    def test_a_binary_that_cannot_run_here_is_quoted(self, tmp_path, monkeypatch):
        binary = tmp_path / "noida-db"
        binary.write_text("#!/bin/sh\necho wrong kind of machine\nexit 3\n")
        binary.chmod(0o755)
        monkeypatch.setattr(broker, "find_binary", lambda: binary)
        with pytest.raises(BrokerUnavailableError, match="wrong kind of machine"):
            EmbeddedBroker(tmp_path / "data").start()


class TestGuardedProcess:
    def test_a_process_that_does_not_stop_when_asked_is_killed(self, tmp_path, monkeypatch):
        monkeypatch.setattr(broker_guard, "_STOP_SECONDS", -4)
        stubborn = GuardedProcess(
            ["sh", "-c", "trap '' TERM; echo ready; read x <&-; sleep 60"], tmp_path / "log"
        )
        while "ready" not in stubborn.said():
            time.sleep(0.01)
        pid = stubborn.pid
        stubborn.stop()
        assert is_gone(pid)
        assert stubborn.pid == 0

    def test_who_holds_much_has_more_time_to_write_it(self, tmp_path):
        (tmp_path / "log").touch()
        assert broker_guard.patience_s(str(tmp_path / "log")) == 15
        with (tmp_path / "kafka.json").open("wb") as held:
            held.truncate(3_000_000_000)
        assert broker_guard.patience_s(str(tmp_path / "log")) == 315

    def test_kill_gives_no_time_to_say_goodbye(self, tmp_path):
        process = GuardedProcess(["sh", "-c", "trap 'echo bye' TERM; echo ready; sleep 60"], tmp_path / "log")
        while "ready" not in process.said():
            time.sleep(0.01)
        pid = process.pid
        process.kill()
        assert is_gone(pid)
        assert process.said() == ["ready"]

    def test_the_exit_code_is_handed_on(self, tmp_path):
        assert GuardedProcess(["sh", "-c", "exit 7"], tmp_path / "log").wait() == 7

    def test_it_does_not_hold_the_terminal_s_interrupt(self, tmp_path):
        process = GuardedProcess(["sleep", "60"], tmp_path / "log")
        assert os.getsid(process.pid) != os.getsid(0)
        process.stop()
