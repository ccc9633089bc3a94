# SPDX-License-Identifier: Apache-2.0
"""Traces over three processes, as a collector of OTLP over HTTP receives them."""

import http.server
import json
import subprocess
import threading
import unittest
import urllib.request

from program import BIN, PATIENCE, ProgramTest, wait_until

CLIENT_SEND = "velo.messenger.client_send"
SERVER_RECEIVE = "velo.messenger.server_receive"
HANDLER = "velo.messenger.handler"
SEND = "velo.transport.send"
RECEIVE = "velo.transport.receive"
ERROR = 2


class Collector(http.server.ThreadingHTTPServer):
    """Keeps the spans of each process by its instance id, or by its service's name where it has none."""

    daemon_threads = True

    def __init__(self, port=0):
        self.spans = []
        self.refuse_with = None
        self.refused = 0
        super().__init__(("127.0.0.1", port), Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def stop(self):
        self.shutdown()
        self.server_close()

    def all(self, name):
        return [span for span in list(self.spans) if span["name"] == name]


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = 200 if self.path == "/v1/traces" else 404
        if self.headers["Content-Type"] != "application/json":
            status = 415
        if status == 200 and self.server.refuse_with:
            status = self.server.refuse_with
            self.server.refused += 1
        if status == 200:
            for resource in body["resourceSpans"]:
                said = {each["key"]: each["value"]["stringValue"] for each in resource["resource"]["attributes"]}
                for scope in resource["scopeSpans"]:
                    for span in scope["spans"]:
                        self.server.spans.append(dict(span, node=said["service.instance.id"],
                                                      service=said["service.name"]))
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


class Traces(ProgramTest):
    def setUp(self):
        super().setUp()
        self.folder = self.scratch / "peers"
        self.folder.mkdir()
        self.collector = Collector()
        self.addCleanup(lambda: self.collector.stop())
        self.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = self.collector.url
        self.environment["OTEL_SERVICE_NAME"] = "chain"
        self.last, _ = self.node()
        self.middle, self.metrics = self.node(self.last)

    def node(self, *following):
        process = subprocess.Popen([BIN / "velo_trace_node", self.folder, *following], env=self.environment,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(self.end, process)
        name, metrics = process.stdout.readline().decode().split()
        return name, metrics.replace("tcp://", "http://") + "/metrics"

    @staticmethod
    def end(process):
        process.stdin.close()
        process.wait(timeout=PATIENCE)
        process.stdout.close()

    def call(self, handler="hop"):
        return self.run_velo("call", handler, "-d", self.folder, "--peer", self.middle)

    def expect_child(self, child, parent):
        self.assertEqual(child.get("parentSpanId"), parent["spanId"], (child, parent))
        self.assertEqual(child["traceId"], parent["traceId"])
        self.assertLessEqual(int(child["startTimeUnixNano"]), int(child["endTimeUnixNano"]))

    def only(self, name, node=None, not_of=()):
        found = [span for span in self.collector.all(name)
                 if span["node"] not in not_of and (node is None or span["node"] == node)]
        self.assertEqual(len(found), 1, found)
        return found[0]

    def metric(self, name):
        with urllib.request.urlopen(self.metrics, timeout=PATIENCE) as answer:
            lines = answer.read().decode().splitlines()
        return sum(int(line.split()[-1]) for line in lines if line.startswith(name))

    def test_three_processes_make_one_tree(self):
        code, out, err = self.call()
        self.assertEqual((code, out.strip(), err), (0, "end", ""))
        wait_until(lambda: len(self.collector.spans) == 10, "all spans arrive")
        ours = (self.middle, self.last)
        first = self.only(CLIENT_SEND, not_of=ours)
        self.assertNotIn("parentSpanId", first)
        received = self.only(SERVER_RECEIVE, self.middle)
        handled = self.only(HANDLER, self.middle)
        second = self.only(CLIENT_SEND, self.middle)
        arrived = self.only(SERVER_RECEIVE, self.last)
        self.expect_child(received, first)
        self.expect_child(handled, received)
        self.expect_child(second, handled)
        self.expect_child(arrived, second)
        self.expect_child(self.only(HANDLER, self.last), arrived)
        self.expect_child(self.only(SEND, not_of=ours), first)
        self.expect_child(self.only(RECEIVE, self.middle), received)
        self.expect_child(self.only(SEND, self.middle), second)
        self.expect_child(self.only(RECEIVE, self.last), arrived)
        self.assertEqual({span["service"] for span in self.collector.spans}, {"chain"})
        self.assertFalse([span for span in self.collector.spans if "status" in span])

    def test_errors_are_the_status_of_what_failed(self):
        code, _, _ = self.call("fail")
        self.assertEqual(code, 1)
        wait_until(lambda: self.collector.all(CLIENT_SEND) and self.collector.all(SERVER_RECEIVE), "spans arrive")
        for name in (CLIENT_SEND, SERVER_RECEIVE, HANDLER):
            status = self.only(name)["status"]
            self.assertEqual(status["code"], ERROR)
            self.assertIn("as asked", status["message"])

    def test_what_waits_arrives_when_the_collector_is_back(self):
        port = self.collector.server_address[1]
        self.collector.stop()
        self.assertEqual(self.call()[0], 0)
        wait_until(lambda: self.metric("velo_trace_exports_failed_total") >= 2, "it cannot be reached")
        self.assertGreater(self.metric("velo_trace_spans_queued"), 0)
        self.collector = Collector(port)
        wait_until(lambda: len(self.collector.all(HANDLER)) == 2, "both nodes' spans arrive")
        wait_until(lambda: self.metric("velo_trace_spans_queued") == 0, "nothing waits")
        self.assertEqual(self.metric("velo_trace_spans_dropped_total"), 0)

    def test_a_busy_collector_is_asked_again(self):
        self.collector.refuse_with = 503
        self.assertEqual(self.call()[0], 0)
        wait_until(lambda: self.collector.refused >= 3, "it is asked again")
        self.collector.refuse_with = None
        wait_until(lambda: len(self.collector.all(HANDLER)) == 2, "spans arrive")

    def test_an_unusable_collector_stops_nothing(self):
        self.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = "https://collector.example:4318"
        code, out, err = self.call()
        self.assertEqual((code, out.strip()), (0, "end"))
        self.assertIn("no traces", err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
