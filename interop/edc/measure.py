#!/usr/bin/env python3
"""Two Eclipse EDC connectors in two JVMs negotiate and transfer; prints what they need: interop/edc/run [--json] [--iteration-ms N]

What it measures: start-up (JVM started until the version document is served and the data plane is available), resident memory at rest and at
the end, 20 negotiations one after the other, several at a time (8, or --in-flight), one transfer by HTTP pull until it is started, and one by HTTP push until all its data
has arrived. A negotiation is timed from the call of the consumer's management API until that API shows FINALIZED; the state is asked every 5 ms.
State is in memory. With the identity mock no signature is made or checked; with dcp every message has a signed token, and its receiver asks the
sender's wallet for a presentation and checks it. A negotiation that EDC itself terminated is counted as lost and made
again: its provider can be faster than its consumer has stored its own request, and takes the 409 that it then gets as final. Without
--iteration-ms everything runs twice: with EDC's defaults, and with 50 ms between the rounds of its state machines, as in its own tests.
"""

import argparse
import concurrent.futures
import hashlib
import http.server
import json
import statistics
import sys
import threading
import time

from connector import PORTS, Connector, Problem, Terminated, free_ports, issuer

DATA = b"".join(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(8192))  # 256 KiB that do not compress


class Files(http.server.BaseHTTPRequestHandler):
    received = []

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()
        self.wfile.write(DATA)

    def do_POST(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.received.append(body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_PUT = do_POST

    def log_message(self, *_):
        pass


def spread(times):
    ordered = sorted(times)
    return {"median_ms": round(statistics.median(ordered)), "p95_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]),
            "min_ms": round(ordered[0]), "max_ms": round(ordered[-1])}


def pull(consumer, provider, agreement):
    """Asks for the data until the provider has said where it is. The module with which a consumer would learn the address is not in the registry for this
    release; ./record reads the address on the wire, and the data there."""
    started = time.monotonic()
    identifier = consumer.transfer(provider.dsp, provider.participant, agreement)
    consumer.wait("transferprocesses", identifier, "STARTED")
    return round((time.monotonic() - started) * 1000)


def push(consumer, provider, agreement, sink):
    Files.received.clear()
    started = time.monotonic()
    identifier = consumer.transfer(provider.dsp, provider.participant, agreement, "HttpData-PUSH", sink)
    consumer.wait("transferprocesses", identifier, "COMPLETED")
    if Files.received != [DATA]:
        raise Problem(f"the pushed data is not what the asset holds: {[len(r) for r in Files.received]} bytes")
    return round((time.monotonic() - started) * 1000)


def measure(iteration_ms, sequential, parallel, identity, in_flight, transfers=True):
    files = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
    threading.Thread(target=files.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{files.server_port}/data"
    bases = [free_ports(PORTS), free_ports(PORTS)]
    settings = {"iteration_ms": iteration_ms, "identity": identity, "trusted": [issuer(base + 6) for base in bases]}
    with Connector("provider", bases[0], **settings) as provider, Connector("consumer", bases[1], **settings) as consumer:
        result = {"identity": identity, "iteration_ms": iteration_ms or 1000, "startup_ms": [provider.startup_ms, consumer.startup_ms],
                  "rss_at_rest_mib": [provider.rss_mib()[0], consumer.rss_mib()[0]]}
        provider.publish("asset-1", url)
        offer = consumer.offer(provider.dsp, provider.participant, "asset-1")
        lost = []

        def negotiation(_):
            while len(lost) < 20:
                try:
                    return consumer.negotiate(provider.dsp, provider.participant, offer)
                except Terminated as terminated:
                    lost.append(terminated)
            raise lost[-1]

        times, agreements = zip(*map(negotiation, range(sequential)))
        result["negotiation"] = spread(times)
        started = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(in_flight) as pool:
            together = [taken for taken, _ in pool.map(negotiation, range(parallel))]
        result["negotiations_lost"] = len(lost)
        result["negotiations_together"] = {"in_flight": in_flight, **spread(together), "per_second": round(parallel / (time.monotonic() - started), 2)}
        if transfers:
            result["pull_started_ms"] = pull(consumer, provider, agreements[0])
            result["push_completed_ms"] = push(consumer, provider, agreements[-1], url)
        started = time.monotonic()
        for _ in range(20):
            consumer.catalog(provider.dsp, provider.participant)
        result["catalog_ms"] = round((time.monotonic() - started) * 50, 1)
        result["rss_after_mib"], result["rss_peak_mib"] = zip(provider.rss_mib(), consumer.rss_mib())
    files.shutdown()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one line of JSON per setting")
    parser.add_argument("--iteration-ms", type=int, help="only with this pause between the rounds of EDC's state machines")
    parser.add_argument("--sequential", type=int, default=20)
    parser.add_argument("--parallel", type=int, default=8)
    parser.add_argument("--in-flight", type=int, default=8)
    parser.add_argument("--no-transfers", action="store_true", help="only negotiations and the catalog")
    parser.add_argument("--identity", choices=["mock", "dcp"], default="mock")
    arguments = parser.parse_args()
    for iteration_ms in [arguments.iteration_ms] if arguments.iteration_ms else [None, 50]:
        result = measure(iteration_ms, arguments.sequential, arguments.parallel, arguments.identity, arguments.in_flight,
                         not arguments.no_transfers)
        if arguments.json:
            print(json.dumps(result), flush=True)
            continue
        print(f"EDC 0.15.1, identity {result.pop('identity')}, state machines every {result.pop('iteration_ms')} ms")
        for name, value in result.items():
            print(f"  {name:26} {value}")
        sys.stdout.flush()


if __name__ == "__main__":
    try:
        main()
    except Problem as problem:
        sys.exit(str(problem))
