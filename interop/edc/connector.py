"""An Eclipse EDC connector as a child process, and the few calls of its management API that the scripts here need."""

import contextlib
import ctypes
import fcntl
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
import random
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROOM = ROOT / "interop" / "edc"
TARGET = ROOT / "target" / "edc"
LOGS = ROOT / "target" / "interop"
PROTOCOL = "dataspace-protocol-http:2025-1"
CONTEXT = {"@vocab": "https://w3id.org/edc/v0.0.1/ns/", "odrl": "http://www.w3.org/ns/odrl/2/"}
PORTS = 7


class Problem(Exception):
    """Something that the person who runs the script must know; printed without a trace."""


class Terminated(Problem):
    """A negotiation or transfer ended before it came to the state that was waited for."""


def build(identity):
    """The connector's jar with that identity (`mock` or `dcp`), made with Maven when it is missing or older than what it is made from."""
    target = TARGET / identity
    jar = target / "edc-connector.jar"
    sources = [ROOM / "pom.xml", *(p for p in (ROOM / "src").rglob("*") if p.is_file())]
    TARGET.mkdir(parents=True, exist_ok=True)
    with open(TARGET / "build.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if jar.exists() and jar.stat().st_mtime >= max(p.stat().st_mtime for p in sources):
            return jar
        if not shutil.which("mvn") or not shutil.which("java"):
            raise Problem("a JDK (17 or newer) and mvn are needed")
        done = subprocess.run(
            ["mvn", "--quiet", "--batch-mode", "-f", str(ROOM / "pom.xml"), "package", f"-P{identity}",
             f"-DbuildDirectory={target}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            errors = [line for line in done.stdout.splitlines() if "ERROR" in line]
            raise Problem("the connector could not be built: " + (errors or ["mvn failed"])[0])
    return jar


def free_ports(count):
    """The first of `count` ports in a row that are free now, below the range that the system takes ports from."""
    for _ in range(200):
        base = random.randrange(16384, 32768 - count)
        with contextlib.ExitStack() as stack:
            try:
                for port in range(base, base + count):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
        return base
    raise Problem("no free ports were found")


def did(wallet):
    """The DID of a connector with the identity `dcp` whose wallet is at that port."""
    return f"did:web:127.0.0.1%3A{wallet}"


def issuer(wallet):
    """The DID that issues its membership credential."""
    return did(wallet) + ":issuer"


def _die_with_parent():
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Connector:
    """One connector. Use it as a context manager: its JVM ends with the block."""

    def __init__(self, participant, base=None, seen_at=None, iteration_ms=None, heap=None, identity="mock", trusted=(), wallet=None):
        """With identity `mock` the participant's id is `participant`; with `dcp` it is a DID on the loopback interface, and `trusted` lists the DIDs of
        the issuers whose membership credentials are taken. `seen_at` is the root that peers are told, and `wallet` the port in the DID, when a proxy stands before this connector; `iteration_ms` is how long EDC's state machines
        sleep when they find no work (EDC's own default is 1000)."""
        self.name, self.identity, self.trusted = participant, identity, trusted
        self.base = base or free_ports(PORTS)
        self.wallet = wallet or self.base + 6
        self.participant = participant if identity == "mock" else did(self.wallet)
        self.management = f"http://127.0.0.1:{self.base + 1}/management"
        self.own_root = f"http://127.0.0.1:{self.base + 2}/protocol"
        self.pull = f"http://127.0.0.1:{self.base + 5}/public"
        self.root = seen_at or self.own_root
        self.dsp = self.root + "/2025-1"
        self.iteration_ms = iteration_ms
        self.heap = heap
        self.child = None
        self.startup_ms = None

    def __enter__(self):
        jar = build(self.identity)
        LOGS.mkdir(parents=True, exist_ok=True)
        settings = {
            "edc.participant.id": self.participant,
            "edc.participant.context.id": self.participant,
            "edc.hostname": "127.0.0.1",
            "edc.dsp.callback.address": self.root,
            "edc.transfer.proxy.token.signer.privatekey.alias": "private-key",
            "edc.transfer.proxy.token.verifier.publickey.alias": "public-key",
            "hiwar.pull.port": self.base + 5,
        }
        for offset, (name, path) in enumerate([("", "/api"), ("management.", "/management"), ("protocol.", "/protocol"), ("control.", "/control"),
                                               ("version.", "/version")]):
            settings[f"web.http.{name}port"] = self.base + offset
            settings[f"web.http.{name}path"] = path
        if self.identity == "dcp":
            settings |= {"edc.iam.issuer.id": self.participant, "edc.iam.did.web.use.https": "false", "hiwar.dcp.port": self.base + 6,
                         "hiwar.dcp.seen-at": self.wallet}
            settings |= {f"edc.iam.trusted-issuer.{number}.id": trusted for number, trusted in enumerate(self.trusted)}
        if self.iteration_ms:
            for machine in ("negotiation.consumer", "negotiation.provider", "transfer", "data.plane.selector", "dataplane"):
                settings[f"edc.{machine}.state-machine.iteration-wait-millis"] = self.iteration_ms
        self.log = LOGS / f"edc-{self.name}.log"
        self.settings = LOGS / f"edc-{self.name}.properties"
        self.settings.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        with open(self.log, "w") as log:
            started = time.monotonic()
            self.child = subprocess.Popen(
                ["java", *([f"-Xmx{self.heap}"] if self.heap else []), f"-Dedc.fs.config={self.settings}", "-jar", str(jar)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, preexec_fn=_die_with_parent)
        try:
            while not self._ready():
                if self.child.poll() is not None:
                    raise Problem(f"the connector {self.name} did not start; see {self.log}")
                if time.monotonic() - started > 120:
                    raise Problem(f"the connector {self.name} is not ready after 120 s; see {self.log}")
                time.sleep(0.02)
        except BaseException:
            self.__exit__()
            raise
        self.startup_ms = round((time.monotonic() - started) * 1000)
        return self

    def __exit__(self, *_):
        if self.child and self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(10)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()

    def _ready(self):
        """EDC says that it is healthy before it answers; its data plane reports a little later, and without one it offers nothing."""
        try:
            with urllib.request.urlopen(self.own_root + "/.well-known/dspace-version", timeout=2):
                return any(plane.get("state") == "AVAILABLE" for plane in self.call("/v3/dataplanes"))
        except (OSError, Problem):
            return False

    def described(self):
        return {"participant": self.participant, **({"issuer": issuer(self.wallet)} if self.identity == "dcp" else {}), "management": self.management, "root": self.root, "dsp": self.dsp, "pull": self.pull,
                "pid": self.child.pid, "startup_ms": self.startup_ms, "log": str(self.log.relative_to(ROOT))}

    def rss_mib(self):
        """Resident memory now, and its peak, in MiB."""
        status = dict(line.split(":", 1) for line in open(f"/proc/{self.child.pid}/status") if ":" in line)
        return [round(int(status[key].split()[0]) / 1024, 1) for key in ("VmRSS", "VmHWM")]

    def call(self, path, body=None, method=None):
        request = urllib.request.Request(self.management + path, method=method or ("GET" if body is None else "POST"),
                                         data=None if body is None else json.dumps(body).encode(), headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise Problem(f"{self.participant} {path}: {error.code} {error.read().decode(errors='replace')[:500]}") from error
        return json.loads(text) if text else None

    def publish(self, asset, url, constraints=()):
        """An asset whose data is at `url`, open to everyone who agrees to use it, under the constraints given."""
        self.call("/v3/assets", {"@context": CONTEXT, "@id": asset, "properties": {"name": asset, "contenttype": "application/octet-stream"},
                                 "dataAddress": {"@type": "DataAddress", "type": "HttpData", "baseUrl": url}})
        self.call("/v3/policydefinitions", {"@context": CONTEXT, "@id": f"policy-{asset}", "policy": {
            "@context": "http://www.w3.org/ns/odrl.jsonld", "@type": "Set",
            "permission": [{"action": "use", **({"constraint": list(constraints)} if constraints else {})}]}})
        self.call("/v3/contractdefinitions", {"@context": CONTEXT, "@id": f"definition-{asset}", "accessPolicyId": f"policy-{asset}",
                                              "contractPolicyId": f"policy-{asset}", "assetsSelector": [
                                                  {"@type": "Criterion", "operandLeft": "https://w3id.org/edc/v0.0.1/ns/id", "operator": "=",
                                                   "operandRight": asset}]})

    def catalog(self, dsp, participant):
        return self.call("/v3/catalog/request", {"@context": CONTEXT, "@type": "CatalogRequest", "counterPartyAddress": dsp, "counterPartyId": participant,
                                                 "protocol": PROTOCOL})

    def offer(self, dsp, participant, asset):
        """The first offer of `asset` in a provider's catalogue, as a negotiation asks for it."""
        datasets = as_list(self.catalog(dsp, participant).get("dataset"))
        found = next((d for d in datasets if d["@id"] == asset), None)
        if not found:
            raise Problem(f"{participant} does not offer {asset}; it offers {[d['@id'] for d in datasets]}")
        offer = as_list(found["hasPolicy"])[0]
        return {**offer, "@context": "http://www.w3.org/ns/odrl.jsonld", "assigner": participant, "target": asset}

    def request(self, dsp, participant, offer):
        return self.call("/v3/contractnegotiations", {"@context": CONTEXT, "@type": "ContractRequest", "counterPartyAddress": dsp,
                                                      "counterPartyId": participant, "protocol": PROTOCOL, "policy": offer})["@id"]

    def wait(self, kind, identifier, wanted, seconds=60, every=0.005):
        """Waits for a state of a negotiation or transfer; gives it as the API shows it."""
        until = time.monotonic() + seconds
        while True:
            state = self.call(f"/v3/{kind}/{identifier}/state")["state"]
            # A provider clears up after the end, and shows that as a state of its own.
            if state == wanted or (wanted in ("TERMINATED", "COMPLETED") and state.startswith("DEPROVISION")):
                return self.call(f"/v3/{kind}/{identifier}")
            if state == "TERMINATED" or time.monotonic() > until:
                found = self.call(f"/v3/{kind}/{identifier}")
                kind_of_problem = Terminated if state == "TERMINATED" else Problem
                raise kind_of_problem(f"{self.participant}: {kind} {identifier} is {state}, not {wanted}: {found.get('errorDetail')}; see {self.log}")
            time.sleep(every)

    def negotiate(self, dsp, participant, offer):
        """From the call of the management API until FINALIZED here: milliseconds and the agreement's id."""
        started = time.monotonic()
        found = self.wait("contractnegotiations", self.request(dsp, participant, offer), "FINALIZED")
        return (time.monotonic() - started) * 1000, found["contractAgreementId"]

    def transfer(self, dsp, participant, agreement, kind="HttpData-PULL", destination=None):
        body = {"@context": CONTEXT, "@type": "TransferRequest", "counterPartyAddress": dsp, "counterPartyId": participant, "protocol": PROTOCOL,
                "contractId": agreement, "transferType": kind}
        if destination:
            body["dataDestination"] = {"@type": "DataAddress", "type": "HttpData", "baseUrl": destination}
        return self.call("/v3/transferprocesses", body)["@id"]


def as_list(value):
    return [] if value is None else value if isinstance(value, list) else [value]
