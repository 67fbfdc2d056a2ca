"""A real Apache Kafka cluster on this machine: KRaft, one broker or several, each a process that can be killed.

python -m tests.support.kafka.cluster up      (BROKERS=3 for three)
python -m tests.support.kafka.cluster down
"""

import asyncio
import json
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from tests.support.kafka.jars import (
    NoBrokerError,
    gathered,
    java,
)

HOST = "127.0.0.1"
READY_S = 90.0
USERNAME, PASSWORD = "holdtime", "a-secret-of-the-tests"
ROOT = Path(__file__).parents[3]
STANDING = ROOT / ".kafka"
"""Where the cluster of `make kafka-up` lives."""

_LOGGING = """
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %c{1} %m%n
"""

_STARTED: list[subprocess.Popen[bytes]] = []
"""Kept, because Python complains of a process that it forgets while it runs; a standing broker outlives its starter."""

_HEAP = ("-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")


@dataclass(slots=True)
class Broker:
    """One broker process, which keeps its data in its folder."""

    number: int
    folder: str
    port: int
    pid: int | None = None

    def start(self) -> None:
        """Start the process, or start it again with the data it had."""
        folder = Path(self.folder)
        with (folder / "broker.log").open("ab") as words:
            process = subprocess.Popen(
                [*_java(folder), "kafka.Kafka", str(folder / "server.properties")],
                stdout=words,
                stderr=words,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.pid = process.pid
        _STARTED.append(process)

    def send(self, kind: signal.Signals) -> None:
        """Send it a signal: SIGSTOP and SIGCONT, or what ends it; a broker that is gone takes none."""
        if self.is_alive():
            os.kill(self._pid(), kind)

    def kill(self) -> None:
        """End it with `kill -9` and wait until it is gone."""
        self.send(signal.SIGKILL)
        self._gone(30)

    def stop(self, patience_s: float = 30) -> None:
        """End it as an operator does, with the leadership of its partitions handed over."""
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        if not self._gone(patience_s):
            self.kill()

    def is_alive(self) -> bool:
        """Say whether the process is there, and is ours."""
        if self.pid is None:
            return False
        with suppress(ChildProcessError):  # it may have been started by another process of ours
            os.waitpid(self.pid, os.WNOHANG)
        process = Path(f"/proc/{self.pid}")
        try:
            command, state = (
                (process / "cmdline").read_bytes(),
                (process / "stat").read_text().rpartition(")")[2].split()[0],
            )
        except OSError:
            return False
        return state != "Z" and (not command or self.folder.encode() in command)  # Java has none while it starts itself

    def _pid(self) -> int:
        assert self.pid is not None
        return self.pid

    def _gone(self, patience_s: float) -> bool:
        give_up = time.monotonic() + patience_s
        while self.is_alive():
            if time.monotonic() > give_up:
                return False
            time.sleep(0.05)
        return True


@dataclass(slots=True)
class Cluster:
    """Brokers that know each other."""

    brokers: list[Broker]

    @classmethod
    def made(cls, folder: Path, brokers: int = 1, *, secured: bool = False) -> Self:
        """Format the storage of so many brokers in `folder`, and start them. Raises NoBrokerError.

        With `secured`, clients need TLS with `folder/ca.pem` and SASL as `USERNAME` with `PASSWORD`.
        """
        gathered()
        ports = _free_ports(2 * brokers)
        voters = ",".join(f"{number}@{HOST}:{ports[brokers + number - 1]}" for number in range(1, brokers + 1))
        cluster_id = urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
        made = []
        for number in range(1, brokers + 1):
            home = folder / f"broker-{number}"
            home.mkdir(parents=True)
            (home / "log4j2.properties").write_text(_LOGGING)
            (home / "server.properties").write_text(
                _properties(home, number, voters, (ports[number - 1], ports[brokers + number - 1]), brokers)
                + (_security(folder) if secured else "")
            )
            # One in 64 ids begins with a hyphen, and must not be taken for another option.
            format_storage = [*_java(home), "kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}"]
            if secured:
                format_storage += ["--add-scram", f"SCRAM-SHA-512=[name={USERNAME},password={PASSWORD}]"]
            done = subprocess.run(
                [*format_storage, "-c", str(home / "server.properties")], capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                raise NoBrokerError(f"the broker's storage could not be formatted: {done.stdout}{done.stderr}")
            made.append(Broker(number, str(home), ports[number - 1]))
        cluster = cls(made)
        for broker in made:
            broker.start()
        if not secured:
            cluster.wait()
        return cluster

    @classmethod
    @contextmanager
    def running(cls, folder: Path, brokers: int = 1, *, secured: bool = False) -> Iterator[Self]:
        """A cluster for as long as the context lasts; a secured one listens, and may still be coming up."""
        cluster = cls.made(folder, brokers, secured=secured)
        try:
            give_up = time.monotonic() + READY_S
            while not all(map(_listens, cluster.brokers)) and time.monotonic() < give_up:
                time.sleep(0.05)
            yield cluster
        finally:
            cluster.kill()

    @property
    def bootstrap(self) -> str:
        """Where clients begin."""
        return ",".join(f"{HOST}:{broker.port}" for broker in self.brokers)

    def wait(self) -> None:
        """Wait until all brokers are members. Raises NoBrokerError with what the brokers said."""
        give_up = time.monotonic() + READY_S
        members = 0
        while members < len(self.brokers):
            if time.monotonic() > give_up or not all(broker.is_alive() for broker in self.brokers):
                words = "\n".join(Path(b.folder, "broker.log").read_text()[-2000:] for b in self.brokers)
                raise NoBrokerError(f"{members} of {len(self.brokers)} brokers came up:\n{words}")
            if all(map(_listens, self.brokers)):
                members = asyncio.run(_members(self.bootstrap))
            time.sleep(0.1)

    def kill(self) -> None:
        """End all brokers at once; their data is worth nothing after that."""
        for broker in self.brokers:
            broker.kill()


def _listens(broker: Broker) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, broker.port)) == 0


async def _members(bootstrap: str) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=2_000)
    try:
        await admin.start()
        return len((await admin.describe_cluster())["brokers"])
    except (KafkaError, OSError):
        return 0
    finally:
        await admin.close()


def _java(home: Path) -> list[str]:
    return [
        java(),
        *_HEAP,
        f"-Dlog4j2.configurationFile={home / 'log4j2.properties'}",
        f"-Dkafka.logs.dir={home}",
        "-cp",
        f"{gathered()}/*",
    ]


def _properties(home: Path, number: int, voters: str, ports: tuple[int, int], brokers: int) -> str:
    """The broker's settings: small, and quick to notice that another one is gone."""
    copies = min(3, brokers)
    port, controller = ports
    settings = {
        "process.roles": "broker,controller",
        "node.id": number,
        "controller.quorum.voters": voters,
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": home / "data",
        "auto.create.topics.enable": "false",
        "default.replication.factor": copies,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "offsets.topic.num.partitions": 1,
        "transaction.state.log.num.partitions": 1,
        "broker.heartbeat.interval.ms": 500,
        "broker.session.timeout.ms": 3_000,
        "num.network.threads": 2,
        "num.io.threads": 2,
        "log.cleaner.dedupe.buffer.size": 16 << 20,
        "log.cleaner.threads": 1,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _security(folder: Path) -> str:
    """A certificate of our own for 127.0.0.1, and the settings that ask for it and for a password."""
    store, secret = folder / "keys.p12", secrets.token_hex(8)
    keytool = [
        str(Path(java()).with_name("keytool")),
        "-keystore",
        str(store),
        "-storepass",
        secret,
        "-alias",
        "broker",
    ]
    subject = ["-dname", "CN=127.0.0.1", "-ext", "san=ip:127.0.0.1", "-validity", "30", "-keyalg", "EC"]
    subprocess.run([*keytool, "-genkeypair", *subject, "-storetype", "PKCS12"], check=True, capture_output=True)
    certificate = [*keytool, "-exportcert", "-rfc", "-file", str(folder / "ca.pem")]
    subprocess.run(certificate, check=True, capture_output=True)
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    plain = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    settings = {
        "listener.security.protocol.map": "PLAINTEXT:SASL_SSL,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
        "inter.broker.listener.name": "PLAINTEXT",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "listener.name.plaintext.scram-sha-512.sasl.jaas.config": scram,
        "listener.name.plaintext.plain.sasl.jaas.config": (
            f'{plain} username="{USERNAME}" password="{PASSWORD}" user_{USERNAME}="{PASSWORD}";'
        ),
        "ssl.keystore.location": store,
        "ssl.keystore.password": secret,
        "ssl.key.password": secret,
        "ssl.keystore.type": "PKCS12",
        "ssl.truststore.location": store,
        "ssl.truststore.password": secret,
        "ssl.truststore.type": "PKCS12",
        "ssl.endpoint.identification.algorithm": "",
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def up(brokers: int) -> str:
    """See to it that a cluster stands, and return where clients begin. Raises NoBrokerError."""
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if given:
        return given
    note = STANDING / "cluster.json"
    if note.exists():
        standing = Cluster([Broker(**broker) for broker in json.loads(note.read_text())])
        if len(standing.brokers) == brokers and all(broker.is_alive() for broker in standing.brokers):
            return standing.bootstrap
        down()
    if brokers == 1 and _docker_answers():
        subprocess.run([*_COMPOSE, "up", "--detach", "--wait", "kafka"], cwd=ROOT, check=True)
        return f"{HOST}:9092"
    cluster = Cluster.made(STANDING, brokers)
    note.write_text(json.dumps([asdict(broker) for broker in cluster.brokers]))
    return cluster.bootstrap


def down() -> None:
    """Stop what `up` started, and forget what it held."""
    note = STANDING / "cluster.json"
    if note.exists():
        for broker in json.loads(note.read_text()):
            Broker(**broker).kill()
    elif not os.environ.get("KAFKA_BOOTSTRAP_SERVERS") and _docker_answers():
        subprocess.run([*_COMPOSE, "rm", "--stop", "--force", "kafka"], cwd=ROOT, check=True)
    shutil.rmtree(STANDING, ignore_errors=True)


_COMPOSE = ("docker", "compose", "--file", "compose.yaml", "--file", "tests/kafka/compose.host.yaml")


def _docker_answers() -> bool:
    try:
        return subprocess.run(["docker", "info"], capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


if __name__ == "__main__":
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that nobody answers yet is what it waits for
    try:
        if sys.argv[1:] == ["up"]:
            print(up(int(os.environ.get("BROKERS", "1"))))  # noqa: T201 - the address is what one runs it for
        elif sys.argv[1:] == ["down"]:
            down()
        else:
            sys.exit(__doc__)
    except NoBrokerError as error:
        sys.exit(f"no Kafka broker: {error}")
